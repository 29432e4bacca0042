"""The JSON Schema that editors are given agrees with the reader."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import jsonschema_rs
import pytest

from ploinky.manifest.document import parse_manifest
from ploinky.manifest.model import Manifest, manifest_schema

DATA = Path(__file__).parents[1] / "data" / "manifests"
FILES = sorted(DATA.glob("*.json"))
SOURCE = Path(__file__).parents[2] / "src" / "ploinky" / "manifest"
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
    errors = [str(error) for error in jsonschema_rs.validator_for(manifest_schema()).iter_errors(document)]
    assert errors == []


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
    assert not jsonschema_rs.validator_for(manifest_schema()).is_valid({"container": "busybox", **fragment})


def test_the_schema_asks_for_an_image() -> None:
    validator = jsonschema_rs.validator_for(manifest_schema())
    assert not validator.is_valid({"about": "x"})
    assert validator.is_valid({"image": "busybox"})


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
