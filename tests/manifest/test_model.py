"""The JSON Schema that editors are given agrees with the reader."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ploinky.manifest.document import parse_manifest
from ploinky.manifest.faults import ManifestError
from ploinky.manifest.model import Manifest, manifest_schema

DATA = Path(__file__).parents[1] / "data" / "manifests"
FILES = sorted(DATA.glob("*.json"))
SOURCE = Path(__file__).parents[2] / "src" / "ploinky" / "manifest"
VALIDATOR = jsonschema_rs.validator_for(manifest_schema())
LIGHT = ("values", "env", "ports", "refs", "texts", "graph", "faults", "jsontext")


def test_the_schema_is_a_schema() -> None:
    schema = manifest_schema()
    jsonschema_rs.meta.validate(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    json.dumps(schema)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_schema_accepts_what_the_reader_accepts(file: Path) -> None:
    document = json.loads(file.read_text(encoding="utf-8-sig"))
    parse_manifest(file.read_bytes(), source=file.name)
    errors = [str(error) for error in VALIDATOR.iter_errors(document)]
    assert errors == []


def changed(value: Any, choose: Callable[[int], int], new: Any) -> Any:
    """A copy of a document in which one part, somewhere, is ``new``."""
    if isinstance(value, dict) and value and choose(4):
        key = list(value)[choose(len(value))]
        return {**value, key: changed(value[key], choose, new)}
    if isinstance(value, list) and value and choose(4):
        index = choose(len(value))
        return [*value[:index], changed(value[index], choose, new), *value[index + 1 :]]
    return new


@settings(deadline=None, max_examples=300)
@given(
    file=st.sampled_from(FILES),
    data=st.data(),
    new=st.none()
    | st.booleans()
    | st.integers(-1, 9000)
    | st.sampled_from(["", "x", "a b", [], {}, ["x"], 1.5]),
)
def test_what_the_reader_accepts_after_any_change_the_schema_accepts_too(
    file: Path, data: st.DataObject, new: object
) -> None:
    document = json.loads(file.read_text(encoding="utf-8-sig"))
    document = changed(document, lambda size: data.draw(st.integers(0, size - 1)), new)
    try:
        parse_manifest(json.dumps(document), source=file.name)
    except ManifestError:
        return
    assert VALIDATOR.is_valid(document)


@pytest.mark.parametrize(
    "fragment",
    [
        {"about": 5},
        {"env": "A"},
        {"env": [7]},
        {"env": {"A": []}},
        {"ports": {"80": 80}},
        {"install": 5},
        {"enable": "a"},
        {"health": {"liveness": {"tcp": 70000}}},
        {"health": {"readiness": {"protocol": "udp"}}},
        {"network": "bridged"},
        {"mounts": {"code": "r"}},
        {"profiles": {"dev": 1}},
        {"profiles": {"Dev": {}}},
        {"lite-sandbox": "true"},
    ],
    ids=str,
)
def test_the_schema_refuses_what_has_the_wrong_shape(fragment: dict[str, object]) -> None:
    assert not VALIDATOR.is_valid({"container": "busybox", **fragment})


def test_the_schema_asks_for_an_image() -> None:
    assert not VALIDATOR.is_valid({"about": "x"})
    assert VALIDATOR.is_valid({"image": "busybox"})


def test_every_field_is_described_or_describes_itself() -> None:
    properties = manifest_schema()["properties"]
    assert set(properties) == {field.alias or name for name, field in Manifest.model_fields.items()}
    assert [name for name, schema in properties.items() if not schema.get("description")] == []


@pytest.mark.parametrize("module", LIGHT)
def test_the_light_modules_import_no_pydantic(module: str) -> None:
    tree = ast.parse((SOURCE / f"{module}.py").read_text(encoding="utf-8"))
    imported = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    own = {
        name.removeprefix("ploinky.manifest.") for name in imported if name.startswith("ploinky.manifest.")
    }
    assert own <= set(LIGHT)
    assert not any(name.startswith("pydantic") for name in imported)


def test_importing_the_light_modules_loads_no_pydantic() -> None:
    imports = "; ".join(f"import ploinky.manifest.{module}" for module in LIGHT)
    code = f"import sys; {imports}; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=30).returncode == 0
