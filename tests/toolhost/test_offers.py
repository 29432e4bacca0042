"""Resources, prompts and completions: fixed, from a file, by a program."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploinky.base.errors import NotFoundError, PloinkyError, UsageError
from ploinky.toolhost.config import ConfigError, parse_mcp_config
from ploinky.toolhost.host import ToolHost
from ploinky.toolhost.results import ProgramError
from ploinky.toolhost.templates import TemplateError, parse_template
from tests.toolhost.stage import META, agent, hosting


@pytest.fixture(scope="module")
async def host() -> AsyncIterator[ToolHost]:
    async with agent() as made:
        (made.folder / "notes.md").write_text("# Notes\n", encoding="utf-8")
        for name, script in {
            "show": 'IFS= read -r line; echo "$INPUT_URI $INPUT_ID $line"',
            "png": "printf '\\211PNG'",
            "gone": 'echo \'{"error": {"code": -32002, "message": "gone"}}\'; exit 1',
            "fail": "echo broken >&2; exit 3",
            "write": 'IFS= read -r line; echo "Write about $INPUT_TOPIC."',
            "talk": 'echo \'[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ho"}]\'',
            "wrong": 'echo \'[{"role": "robot", "content": "hi"}]\'',
            "towns": "printf 'paris\\npark\\nrome\\n'",
        }.items():
            made.program(name, script)
        made.configure(resources=_RESOURCES, prompts=_PROMPTS)
        async with hosting(made) as each:
            yield each


_RESOURCES = [
    {"name": "fixed", "uri": "x://fixed", "text": "hello"},
    {"name": "notes", "uri": "x://notes", "file": "notes.md", "mimeType": "text/markdown"},
    {"name": "picture", "uri": "x://png", "command": "png", "mimeType": "image/png"},
    {"name": "gone", "uri": "x://gone", "command": "gone"},
    {"name": "broken", "uri": "x://broken", "command": "fail"},
    {"name": "nothing", "uri": "x://nothing", "file": "no-such-file"},
    {
        "name": "family",
        "uriTemplate": "x://items/{id}/data",
        "command": "show",
        "mimeType": "application/json",
        "complete": {"id": ["alpha", "Beta"]},
    },
]
_PROMPTS = [
    {
        "name": "greet",
        "description": "Says hello.",
        "arguments": [
            {"name": "who", "required": True, "complete": {"command": "towns"}},
            {"name": "mood"},
        ],
        "messages": [
            {"role": "system", "content": "Be {{ mood }}kind to {{who}} and {{nobody}}."},
            {"role": "assistant", "content": {"type": "text", "text": "{{who}}?"}},
        ],
    },
    {"name": "write", "command": "write"},
    {"name": "talk", "command": "talk"},
    {"name": "wrong", "command": "wrong"},
]


async def test_a_resource_is_a_text_a_file_or_a_programs_output(host: ToolHost) -> None:
    fixed = await host.read("x://fixed", META)
    assert (fixed.text, fixed.mime_type, fixed.blob) == ("hello", "text/plain", None)
    notes = await host.read("x://notes", META)
    assert (notes.text, notes.mime_type) == ("# Notes", "text/markdown")
    picture = await host.read("x://png", META)
    assert (picture.text, picture.blob) == (None, base64.b64encode(b"\x89PNG").decode())


async def test_a_template_gives_its_values_to_the_program(host: ToolHost) -> None:
    read = await host.read("x://items/a%20b/data", META)
    assert read.text is not None
    uri, first, second, line = read.text.split(" ", 3)
    assert (uri, f"{first} {second}") == ("x://items/a%20b/data", "a b")
    assert json.loads(line)["input"] == {"id": "a b"}
    for absent in ("x://items/a/b/data", "x://items/../data", "x://other", "x://items//datax"):
        with pytest.raises(NotFoundError):
            await host.read(absent, META)


async def test_a_resource_that_cannot_be_had_is_an_error(host: ToolHost) -> None:
    with pytest.raises(ProgramError) as seen:
        await host.read("x://gone", META)
    assert seen.value.rpc_code == -32002
    for uri, words in (("x://broken", "broken"), ("x://nothing", "no file at")):
        with pytest.raises(PloinkyError, match=words):
            await host.read(uri, META)


async def test_a_static_prompt_takes_its_arguments(host: ToolHost) -> None:
    prompt = await host.prompt("greet", {"who": "{{mood}}"}, META)
    assert prompt.messages == (
        {"role": "user", "content": {"type": "text", "text": "Be kind to {{mood}} and {{nobody}}."}},
        {"role": "assistant", "content": {"type": "text", "text": "{{mood}}?"}},
    )
    with pytest.raises(UsageError, match="needs who"):
        await host.prompt("greet", {}, META)
    with pytest.raises(NotFoundError):
        await host.prompt("nobody", {}, META)


async def test_a_program_writes_a_prompt_as_text_or_as_messages(host: ToolHost) -> None:
    (message,) = (await host.prompt("write", {"topic": "tides"}, META)).messages
    assert message == {"role": "user", "content": {"type": "text", "text": "Write about tides."}}
    assert [each["role"] for each in (await host.prompt("talk", {}, META)).messages] == ["user", "assistant"]
    with pytest.raises(PloinkyError, match="did not answer with messages"):
        await host.prompt("wrong", {}, META)


async def test_completions_are_fixed_or_a_programs(host: ToolHost) -> None:
    async def values(kind: str, name: str, argument: str, typed: str) -> list[str] | None:
        found = host.find_completion(kind, name, argument)
        return None if found is None else await host.complete(found, argument, typed, {}, META)

    assert await values("ref/prompt", "greet", "who", "par") == ["paris", "park"]
    assert await values("ref/prompt", "greet", "mood", "") is None
    assert await values("ref/resource", "x://items/{id}/data", "id", "b") == ["Beta"]
    with pytest.raises(NotFoundError):
        await values("ref/resource", "x://{other}", "id", "")


@pytest.mark.parametrize(
    ("template", "uri", "values"),
    [
        ("x://{a}", "x://1", {"a": "1"}),
        ("x://{a}", "x://1/2", None),
        ("x://{+a}", "x://1/2", {"a": "1/2"}),
        ("x://{a}-{b}.txt", "x://1-2-3.4.txt", {"a": "1", "b": "2-3.4"}),
        ("x:/{/a,b}", "x://1/2", {"a": "1", "b": "2"}),
        ("x://y{?q,r}", "x://y?r=a%26b", {"r": "a&b"}),
        ("x://y{?q}", "x://y", {}),
        ("x://y{?q}", "x://y?z=1", None),
        ("x://{a}", "x://%2e%2e", None),
        ("x://{+a}", "x://b/../c", None),
        ("x://{a}", "x://%00", None),
    ],
)
def test_a_template_matches(template: str, uri: str, values: dict[str, str] | None) -> None:
    assert parse_template(template).match(uri) == values


@pytest.mark.parametrize(
    "text", ["x://y", "x://{a}{b}", "x://{a}/{a}", "x://{a", "x://{}", "x://{a b}", "{|a}"]
)
def test_what_is_no_template_is_refused(text: str) -> None:
    with pytest.raises(TemplateError):
        parse_template(text)


@given(st.text(max_size=60), st.text(alphabet="{}?&/+#,ab", max_size=30))
def test_templates_and_uris_of_any_kind_do_no_harm(uri: str, text: str) -> None:
    try:
        template = parse_template(text)
    except TemplateError:
        return
    values = template.match(uri) or {}
    assert set(values) <= set(template.variables)
    assert not any(".." in value.split("/") or "\0" in value for value in values.values())


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "r", "uri": "x://a"}, "one of 'command', 'file' and 'text'"),
        ({"name": "r", "text": "t"}, "needs a 'uri'"),
        ({"name": "r", "uri": "x://{a}", "text": "t"}, "a template needs a 'command'"),
        ({"name": "r", "uri": "x://{a}{b}", "command": "c"}, "nothing between"),
        ({"name": "r", "uri": "x://{a}", "command": "c", "complete": {"b": []}}, "completes 'b'"),
    ],
)
def test_a_resource_that_says_too_little_is_a_fault(entry: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_mcp_config(json.dumps({"resources": [entry]}), source="x")
