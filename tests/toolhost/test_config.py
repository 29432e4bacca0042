"""Reading mcp-config.json: every shape that real ones have, and faults that name their place."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploinky.toolhost.config import ConfigError, ToolMode, parse_mcp_config

NOTES = Path(__file__).parents[1] / "data" / "mcp-config" / "notes.json"


def _faults(text: str) -> list[str]:
    with pytest.raises(ConfigError) as seen:
        parse_mcp_config(text, source="mcp-config.json")
    assert seen.value.message.startswith("mcp-config.json cannot be used:")
    return [str(fault) for fault in seen.value.faults]


def test_every_shape_is_read() -> None:
    config = parse_mcp_config(NOTES.read_text(encoding="utf-8"), source="notes.json")
    assert config.warnings == ()
    plain, write, index, search = config.tools
    assert (plain.program.args, plain.limit_s, plain.input_schema) == (
        ("list",),
        120.0,
        {"type": "object", "properties": {}},
    )
    assert (write.program.cwd, write.limit_s) == ("workspace", 5.0)
    assert dict(write.program.env) == {
        "NOTES_DEPTH": "2",
        "NOTES_STRICT": "true",
        "NOTES_HOME": "/shared/notes",
    }
    assert write.annotations == {"readOnlyHint": False, "idempotentHint": True}
    assert (index.is_async, index.limit_s) == (True, 120.0)
    assert (search.mode, search.program.cwd, search.program.command) == (ToolMode.PERSISTENT, "lib", "node")
    assert [resource.uri for resource in config.resources] == ["text://notes/help", None]
    assert config.resources[1].template is not None
    assert config.resources[1].template.match("text://notes/today") == {"name": "today"}
    assert config.prompts[0].messages[0].content == "Tidy my notes."
    assert (config.max_parallel_tasks, config.task_log_tail_bytes) == (2, 4096)


def test_the_shorthand_becomes_json_schema() -> None:
    config = parse_mcp_config(NOTES.read_text(encoding="utf-8"), source="notes.json")
    assert config.tools[1].input_schema == {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1},
            "tags": {
                "type": "array",
                "maxItems": 3,
                "items": {
                    "type": "object",
                    "properties": {"key": {"type": "string"}, "value": {"type": "string"}},
                    "required": ["key"],
                },
            },
            "weight": {"type": "number", "minimum": 0, "maximum": 10},
            "type": {"type": "string"},
        },
        "required": ["name"],
    }


def test_json_schema_is_taken_as_it_is() -> None:
    config = parse_mcp_config(NOTES.read_text(encoding="utf-8"), source="notes.json")
    schema = config.tools[3].input_schema
    assert (schema["required"], schema["additionalProperties"]) == (["q"], False)


def test_an_explicit_list_of_required_fields_is_kept_in_nested_objects() -> None:
    text = json.dumps(
        {
            "tools": [
                {
                    "name": "t",
                    "command": "c",
                    "inputSchema": {
                        "diffs": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
                                "required": ["a"],
                            },
                        }
                    },
                }
            ]
        }
    )
    schema = parse_mcp_config(text, source="x").tools[0].input_schema
    properties = schema["properties"]
    assert isinstance(properties, dict)
    diffs = properties["diffs"]
    assert isinstance(diffs, dict)
    items = diffs["items"]
    assert isinstance(items, dict)
    assert items["required"] == ["a"]


def test_all_faults_are_named_at_once_with_field_and_line() -> None:
    text = """{"tools": [
      {"name": "a"},
      {"name": "b", "command": "c",
       "timeoutMs": "soon",
       "args": "x"}
    ]}"""
    assert _faults(text) == [
        "tools[0].command (line 2): field required",
        "tools[1].args (line 5): input should be a valid list",
        "tools[1].timeoutMs (line 4): input should be a valid number",
    ]


@pytest.mark.parametrize(
    ("tool", "fault"),
    [
        ('"inputSchema": {"a": "string"}', "tools[0].inputSchema.a (line 2): A field is an object"),
        (
            '"inputSchema": {"a": {"type": "strin"}}',
            "tools[0].inputSchema.a.type (line 2): is no JSON Schema type",
        ),
        ('"inputSchema": {"type": "array"}', "tools[0].inputSchema.type (line 2): Arguments are an object"),
        ('"inputSchema": {"type": "object", "$ref": "file:///etc/passwd"}', "Retrieval is disabled"),
        ('"inputSchema": {"type": "object", "$ref": "http://127.0.0.1:1/x"}', "Retrieval is disabled"),
        ('"outputSchema": {"type": 5}', "tools[0].outputSchema.type (line 2): is no JSON Schema type"),
        ('"timeoutMs": 0', "tools[0].timeoutMs (line 2): input should be greater than 0"),
        ('"async": "yes"', "tools[0].async (line 2): input should be a valid boolean"),
        ('"mode": "forever"', "tools[0].mode (line 2): input should be 'call' or 'persistent'"),
        ('"env": {"A": [1]}', "tools[0].env.A (line 2): input should be a valid string"),
    ],
)
def test_a_wrong_field_is_named(tool: str, fault: str) -> None:
    text = '{"tools": [\n{"name": "t", "command": "c", ' + tool + "}]}"
    assert any(fault in each for each in _faults(text)), _faults(text)


def test_two_tools_of_one_name_are_a_fault() -> None:
    tool = '{"name": "t", "command": "c"}'
    assert _faults('{"tools": [' + tool + ",\n" + tool + "]}") == [
        "tools[1].name (line 2): 't' is there twice"
    ]


@pytest.mark.parametrize("text", ["", "[]", "null", '{"tools": [', "{'tools': []}", "// no\n{}", "\x00"])
def test_what_is_no_object_of_json_is_a_fault_with_a_line(text: str) -> None:
    assert "(line 1)" in _faults(text)[0]


def test_unknown_and_doubled_keys_warn_and_do_no_harm() -> None:
    text = '{"tools": [{"name": "t", "command": "c",\n"descripton": "x", "command": "d"}], "$schema": "s"}'
    config = parse_mcp_config(text, source="x")
    assert config.tools[0].program.command == "d"
    assert any("'description'" in each and "(line 2)" in each for each in config.warnings)
    assert any("command" in each for each in config.warnings)
    assert len(config.warnings) == 2


@given(st.text(max_size=60) | st.binary(max_size=60))
def test_any_text_is_a_configuration_or_an_error(text: str | bytes) -> None:
    with contextlib.suppress(ConfigError):
        parse_mcp_config(text, source="x")
