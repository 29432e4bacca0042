"""Reading a manifest: what is right loads, what is wrong is named all at once, each at its place."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ploinky.base.errors import EXIT_NOT_FOUND
from ploinky.manifest.document import parse_manifest
from ploinky.manifest.faults import ManifestError, manifest_not_found
from ploinky.manifest.model import Manifest

DATA = Path(__file__).parents[1] / "data" / "manifests"
FILES = sorted(DATA.glob("*.json"))
PROPERTY = settings(deadline=None, max_examples=100)
OLD_FORM = {"old-form"}


def read(text: str | bytes, *, strict: bool = False) -> Manifest:
    return parse_manifest(text, source="manifest.json", strict=strict)


def refusal(text: str | bytes, *, strict: bool = False) -> ManifestError:
    with pytest.raises(ManifestError) as caught:
        read(text, strict=strict)
    return caught.value


def with_line_3(fragment: str) -> str:
    """A manifest that is right but for ``fragment``, which begins on line 3."""
    return '{\n  "container": "busybox:1",\n' + fragment + "\n}\n"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_manifest_as_people_write_them_loads(file: Path) -> None:
    warnings = read(file.read_bytes()).warnings
    assert [warning.field for warning in warnings] == (["preinstall"] if file.stem in OLD_FORM else [])


# Fragment from line 3 on: the field and the line of its only fault.
MALFORMED: dict[str, tuple[str, int]] = {
    '"about": 5': ("about", 3),
    '"about": ["a"]': ("about", 3),
    '"cli": {}': ("cli", 3),
    '"run": true': ("run", 3),
    '"commands": "x"': ("commands", 3),
    '"commands": {\n"run": 1}': ("commands.run", 4),
    '"entrypoint": ["sh",\n 3]': ("entrypoint[1]", 4),
    '"workdir": "code"': ("workdir", 3),
    '"image": "busybox:2"': ("image", 3),
    '"image": "Busy Box"': ("image", 3),
    '"env": "A"': ("env", 3),
    '"env": [\n"A",\n"1A"]': ("env[1]", 5),
    '"env": [7]': ("env[0]", 3),
    '"env": [{}]': ("env[0].name", 3),
    '"env": [{"name": "A",\n"required": "yes"}]': ("env[0].required", 4),
    '"env": [{"name": "A", "value": "1", "default": "2"}]': ("env[0]", 3),
    '"env": {\n"A B": "x"}': ('env["A B"]', 4),
    '"env": {"A": []}': ("env.A", 3),
    '"env": {"A": {"varName":\n"a-b"}}': ("env.A.varName", 3),
    '"env": {"A_*": "x"}': ('env["A_*"]', 3),
    '"secrets": "KEY"': ("secrets", 3),
    '"secrets": ["KEY",\n"A KEY"]': ("secrets[1]", 4),
    '"ports": [\n"99999"]': ("ports[0]", 4),
    '"ports": [0]': ("ports[0]", 3),
    '"port": "x"': ("port", 3),
    '"port": false': ("port", 3),
    '"ports": {"80": 80}': ("ports", 3),
    '"ports": ["80:80",\n"80:81"]': ("ports[1]", 4),
    '"port": 80,\n"ports": ["80"]': ("ports[0]", 4),
    '"ports": [80.5]': ("ports[0]", 3),
    '"install": 5': ("install", 3),
    '"install": ["a",\n5]': ("install[1]", 4),
    '"install": {"when": {}}': ("install.run", 3),
    '"install": {"run": "x", "when": {"env": "A"}}': ("install.when.env", 3),
    '"install": {"run": "x", "when": {"exists": 1}}': ("install.when.exists", 3),
    '"preinstall": "../x.sh"': ("preinstall", 3),
    '"hosthook_preinstall": ["scripts/../../x.sh"]': ("hosthook_preinstall[0]", 3),
    '"enable": "a"': ("enable", 3),
    '"enable": ["a",\n"b globall"]': ("enable[1]", 4),
    '"enable": ["a as"]': ("enable[0]", 3),
    '"repos": {"../x": "u"}': ('repos["../x"]', 3),
    '"repos": {"x": {"branch": "b"}}': ("repos.x.url", 3),
    '"repos": {"x": ""}': ("repos.x", 3),
    '"volumes": ["a:/b"]': ("volumes", 3),
    '"volumes": {"a": 1}': ("volumes.a", 3),
    '"volumes": {"/etc": "/x"}': ('volumes["/etc"]', 3),
    '"volumes": {"a": "x"}': ("volumes.a", 3),
    '"volumes": {"a": "/x",\n"b": "/x/"}': ("volumes.b", 4),
    '"volumes": {".ploinky/agents": "/x"}': ('volumes[".ploinky/agents"]', 3),
    '"volumeOptions": {"/x": {"chmod": "777"}}': ('volumeOptions["/x"].chmod', 3),
    '"health": {"liveness": {}}': ("health.liveness", 3),
    '"health": {"liveness": {"script": "a",\n"tcp": 1}}': ("health.liveness.tcp", 4),
    '"health": {"readiness": {"tcp": 70000}}': ("health.readiness.tcp", 3),
    '"health": {"readiness": {"http": "healthz"}}': ("health.readiness.http", 3),
    '"health": {"readiness": {"script": "/bin/x"}}': ("health.readiness.script", 3),
    '"health": {"readiness": {"protocol": "udp"}}': ("health.readiness.protocol", 3),
    '"health": {"liveness": {"tcp": 1, "interval": 0}}': ("health.liveness.interval", 3),
    '"health": {"liveness": {"tcp": 1, "timeout": "5s"}}': ("health.liveness.timeout", 3),
    '"health": {"liveness": {"tcp": 1, "retries": 1.5}}': ("health.liveness.retries", 3),
    '"health": {"liveness": {"tcp": 1, "retries": 1, "failureThreshold": 2}}': (
        "health.liveness.failureThreshold",
        3,
    ),
    '"health": {"liveness": {"tcp": 1, "startPeriod": -1}}': ("health.liveness.startPeriod", 3),
    '"network": "bridged"': ("network", 3),
    '"network": {"aliases": ["a b"]}': ("network.aliases[0]", 3),
    '"resources": {"memory": "lots"}': ("resources.memory", 3),
    '"resources": {"cpus": 0}': ("resources.cpus", 3),
    '"resources": {"pids": "many"}': ("resources.pids", 3),
    '"containerSecurity": {"privileged": "yes"}': ("containerSecurity.privileged", 3),
    '"containerSecurity": {"capabilities": ["A B"]}': ("containerSecurity.capabilities[0]", 3),
    '"containerSecurity": {"user": "A B"}': ("containerSecurity.user", 3),
    '"expose": {"A": {}}': ("expose.A.value", 3),
    '"expose": ["A"]': ("expose", 3),
    '"dependencies": {"a": 1}': ("dependencies.a", 3),
    '"mounts": {"code": "r"}': ("mounts.code", 3),
    '"lite-sandbox": "true"': ("lite-sandbox", 3),
    '"sandbox": 0': ("sandbox", 3),
    '"defaultProfile": "De V"': ("defaultProfile", 3),
    '"defaultProfile": "devel", "profiles": {"dev": {}}': ("defaultProfile", 3),
    '"profiles": []': ("profiles", 3),
    '"profiles": {"Dev": {}}': ("profiles.Dev", 3),
    '"profiles": {"dev": 1}': ("profiles.dev", 3),
    '"profiles": {"dev": {\n"ports": ["1:2:3:4"]}}': ("profiles.dev.ports[0]", 4),
    '"profiles": {"dev": {"env": {\n"1": "x"}}}': ("profiles.dev.env.1", 4),
    '"profiles": {"qa": {"extends": "dve"}, "dev": {}}': ("profiles.qa.extends", 3),
    '"profiles": {"a": {"extends": "b"},\n"b": {"extends": "a"}}': ("profiles.a.extends", 3),
    '"profiles": {"a": {"extends": "a"}}': ("profiles.a.extends", 3),
    '"profiles": {"default": {"extends": "a"}, "a": {}}': ("profiles.default.extends", 3),
    '"about": "a",\n"about": "b"': ("about", 4),
    '"profiles": {"dev": {},\n"dev": {}}': ("profiles.dev", 4),
    '"about": "a\\u0000b"': ("about", 3),
    '"cli": "\\ud800"': ("cli", 3),
    '"resources": {"cpus": 1e999}': ("resources.cpus", 3),
}


@pytest.mark.parametrize("fragment", MALFORMED)
def test_a_malformed_field_is_named_with_its_line(fragment: str) -> None:
    error = refusal(with_line_3(fragment))
    assert error.code == "MANIFEST_INVALID"
    assert {(fault.field, fault.line) for fault in error.faults} == {MALFORMED[fragment]}
    assert all(fault.message.endswith(".") and fault.column >= 1 for fault in error.faults)


def test_all_faults_are_listed_at_once_in_the_order_of_the_file() -> None:
    text = with_line_3(
        '"about": 5,\n"ports": [0, "80:80",\n"80:90"],\n"env": ["A", "2B"],\n'
        '"profiles": {"Dev": {"extends": "x"},\n"qa": {"health": {"liveness": {"tcp": 0, "http": "/"}}}},\n'
        '"cli": 1'
    )
    faults = refusal(text).faults
    assert [(fault.line, fault.field) for fault in faults] == [
        (3, "about"),
        (4, "ports[0]"),
        (5, "ports[2]"),
        (6, "env[1]"),
        (7, "profiles.Dev"),
        (7, "profiles.Dev.extends"),
        (8, "profiles.qa.health.liveness.tcp"),
        (9, "cli"),
    ]


def test_the_message_names_every_fault_with_its_line_and_what_to_write() -> None:
    message = refusal(with_line_3('"ports": ["x"],\n"enable": ["a globall"]')).message
    assert message.startswith("Invalid manifest manifest.json:\n  - line 3, ports[0]: ")
    assert "\n  - line 4, enable[0]: " in message
    assert "did you mean 'global'?" in message


UNREADABLE = {
    "": (1, 1),
    '{\n  "container": "a",\n}': (2, 19),
    '{\n  container: "a"\n}': (2, 3),
    '{"container": "a"': (1, 18),
    '{"container": "a"}\n}': (2, 1),
}


@pytest.mark.parametrize("text", UNREADABLE)
def test_text_that_is_no_json_is_refused_with_line_and_column(text: str) -> None:
    error = refusal(text)
    assert error.code == "MANIFEST_PARSE_ERROR"
    assert (error.line, error.column) == UNREADABLE[text]
    assert error.message.startswith("Failed to parse manifest.json: ")
    assert f"line {error.line}, column {error.column}" in error.message


def test_a_file_that_cannot_be_a_manifest_is_not_read_through() -> None:
    assert refusal(" " * 1_000_001).code == "MANIFEST_PARSE_ERROR"


def test_a_hostile_manifest_is_refused_in_little_time() -> None:
    started = time.perf_counter()
    ports = ",".join(f'"{start}-{start + 999}:1-1000"' for start in range(1, 60_000, 1000))
    doubles = ",".join(f'"k{n % 1000}": {{"a": [{n}]}}' for n in range(30_000))
    error = refusal(f'{{"container": "a", "ports": [{ports},{ports}], "x-many": {{{doubles}}}}}')
    assert len(error.faults) == 60 + 29_000
    assert time.perf_counter() - started < 10


@pytest.mark.parametrize("text", ["[]", '"x"', "1", "null"])
def test_a_manifest_is_an_object(text: str) -> None:
    assert refusal(text).code == "MANIFEST_INVALID"


@pytest.mark.parametrize(
    "text", ["{}", '{"about": "x"}', '{"container": ""}', '{"container": null, "image": ""}']
)
def test_a_manifest_without_an_image_is_refused_by_its_own_code(text: str) -> None:
    error = refusal(text)
    assert error.code == "MISSING_CONTAINER"
    assert error.message == 'Manifest must specify "container" or "image" field'
    assert error.hint == 'Add "container": "image:tag" to manifest.json'


def test_a_mistyped_container_is_pointed_at() -> None:
    assert "'contaner'" in (refusal('{"contaner": "a:1"}').hint or "")


def test_a_missing_image_stands_among_the_other_faults() -> None:
    error = refusal('{\n"about": 1\n}')
    assert error.code == "MANIFEST_INVALID"
    assert [fault.field for fault in error.faults] == ["", "about"]


def test_either_word_for_the_image_will_do_and_both_if_they_agree() -> None:
    assert read('{"image": "a:1"}').image == "a:1"
    assert read('{"image": "a:1", "container": "a:1"}').container == "a:1"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_bytes_of_any_unicode_encoding_are_read(encoding: str) -> None:
    assert read('{"container": "a", "about": "Überblick"}'.encode(encoding)).about == "Überblick"


def test_bytes_that_are_no_text_are_refused_with_their_place() -> None:
    error = refusal(b'{\n"about": "\xff"}')
    assert (error.code, error.line, error.column) == ("MANIFEST_PARSE_ERROR", 2, 11)


UNKNOWN = {
    '"abuot": "x"': ("abuot", "Did you mean 'about'?"),
    '"profiles": {"dev": {"instal": "x"}}': ("profiles.dev.instal", "Did you mean 'install'?"),
    '"health": {"readiness": {"http": "/", "intervall": 5}}': (
        "health.readiness.intervall",
        "Did you mean 'interval'?",
    ),
    '"profiles": {"default": {"env": [{"name": "A", "requird": true}]}}': (
        "profiles.default.env[0].requird",
        "Did you mean 'required'?",
    ),
    '"profiles": {"default": {"env": {"A": {"defualt": ""}}}}': (
        "profiles.default.env.A.defualt",
        "Did you mean 'default'?",
    ),
    '"lite_sandbox": true': ("lite_sandbox", "Did you mean 'lite-sandbox'?"),
    '"profiles": {"dev": {"container": "x"}}': ("profiles.dev.container", "It belongs to the top level."),
    '"zzz": {"deep": [1, null]}': (
        "zzz",
        "It has no effect; prefix it with 'x-' if it is for another program.",
    ),
}


@pytest.mark.parametrize("fragment", UNKNOWN)
def test_an_unknown_field_is_a_warning_that_says_what_was_meant(fragment: str) -> None:
    (warning,) = read(with_line_3(fragment)).warnings
    assert (warning.field, warning.hint) == UNKNOWN[fragment]
    assert (warning.line, warning.message) == (3, "this field is not known.")


@pytest.mark.parametrize("key", ["$schema", "_comment", "//", "x-editor"])
def test_fields_for_other_programs_pass_in_silence(key: str) -> None:
    assert read(with_line_3(f'"{key}": "x"')).warnings == ()


def test_a_field_called_warnings_does_not_hide_the_warnings() -> None:
    (warning,) = read(with_line_3('"warnings": [1], "_warnings": [2]')).warnings
    assert warning.field == "warnings"


def test_the_old_form_is_one_warning_with_the_snippet_to_write_instead() -> None:
    text = with_line_3(
        '"install": "npm ci", "env": {"A": "1", "B": "2"}, "port": 7000,\n'
        '"profiles": {"default": {"env": {"B": "3"}, "secrets": ["K"]}}'
    )
    (warning,) = read(text).warnings
    assert warning.line == 3
    assert warning.message == "'install', 'env', 'port' at the top level is the old form."
    head, _, snippet = (warning.hint or "").partition("\n")
    assert head == "Move it into a profile:"
    assert json.loads(snippet) == {
        "profiles": {
            "default": {"env": {"A": "1", "B": "3"}, "secrets": ["K"], "install": "npm ci", "port": 7000}
        }
    }
    assert read(json.dumps({"container": "busybox", **json.loads(snippet)})).warnings == ()


def test_empty_fields_of_the_old_form_are_no_old_form() -> None:
    assert read(with_line_3('"install": "", "env": [], "ports": null')).warnings == ()


def test_a_variable_given_twice_is_a_warning() -> None:
    text = with_line_3('"profiles": {"default": {"env": ["A=1",\n"A=2"]}}')
    (warning,) = read(text).warnings
    assert (warning.field, warning.line) == ("profiles.default.env[1]", 4)


def test_a_protocol_beside_a_probe_is_a_warning() -> None:
    (warning,) = read(with_line_3('"health": {"readiness": {"tcp": 80, "protocol": "tcp"}}')).warnings
    assert warning.field == "health.readiness.protocol"


def test_strict_makes_every_warning_a_fault() -> None:
    text = with_line_3('"abuot": "x",\n"install": "y"')
    assert len(read(text).warnings) == 2
    error = refusal(text, strict=True)
    assert error.code == "MANIFEST_INVALID"
    assert [(fault.field, fault.line) for fault in error.faults] == [("abuot", 3), ("install", 4)]


def test_strict_passes_what_has_no_warnings() -> None:
    assert read('{"container": "busybox"}', strict=True).container == "busybox"


def test_no_message_shows_a_value_of_the_environment() -> None:
    secret = "hunter2-hunter2"
    text = with_line_3(
        f'"env": {{"A_*": "{secret}", "B": {{"default": "{secret}", "value": "x"}}, "C": ["{secret}"]}},'
        f'"profiles": {{"dev": {{"env": ["1A={secret}"]}}}}, "expose": {{"A": ["{secret}"]}}'
    )
    error = refusal(text)
    assert len(error.faults) == 5
    assert secret not in str(error)


def test_a_missing_manifest_has_the_words_of_its_own() -> None:
    error = manifest_not_found("notes", "basic")
    assert (error.code, error.exit_code) == ("MANIFEST_NOT_FOUND", EXIT_NOT_FOUND)
    assert error.message == "Manifest not found for agent 'notes' in repo 'basic'"


KEYS = st.sampled_from([*(field.alias or name for name, field in Manifest.model_fields.items()), "zzz"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=12,
)


@PROPERTY
@given(document=st.dictionaries(KEYS, VALUES, max_size=8), named=st.booleans())
def test_any_document_is_a_manifest_or_a_refusal_with_places(
    document: dict[str, object], named: bool
) -> None:
    if named:
        document["container"] = "busybox"
        document.pop("image", None)
    text = json.dumps(document, indent=1)
    try:
        manifest = read(text)
    except ManifestError as error:
        found = list(error.faults)
    else:
        found = []
        assert all(1 <= warning.line <= text.count("\n") + 1 for warning in manifest.warnings)
    lines = text.split("\n")
    assert all(
        1 <= fault.line <= len(lines) and 1 <= fault.column <= len(lines[fault.line - 1]) for fault in found
    )
