"""Every skill that can be used is used; what is odd is told with its line; nothing makes the parser raise."""

from __future__ import annotations

import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploinky.skills.conformance import conformance
from ploinky.skills.document import parse_skill, skill_id
from ploinky.skills.model import Form, SectionKind, Severity, Skill

OPEN = """---
name: tide-tables
description: Tells the tides of a harbour.
metadata: {"openclaw": {"requires": {"bins": ["tide"], "env": ["TIDE_KEY"]}, "primaryEnv": "TIDE_KEY",
  "install": [{"id": "n", "kind": "node", "package": "tide-cli", "bins": ["tide"]}]}}
allowed-tools: Bash(tide:*) Read
---

# Tide tables

Text.

```sh
## not a heading
tide today
```

## Usage

- run it
"""
SECTIONS = """# Harbour Lights

## Description

Switches the lights
of a harbour.

## Installation

```bash
mkdir -p data
```

## API keys

Needs `LIGHTS_API_KEY` and nothing else.

## How to use

`lights on`
"""


def usable(text: str | bytes, folder: str = "") -> Skill:
    skill = parse_skill(text, folder=folder).skill
    assert skill is not None
    return skill


def codes(text: str | bytes) -> list[tuple[int, str]]:
    return [(each.line, each.code) for each in parse_skill(text).diagnostics]


def test_the_open_form_is_read_with_its_metadata() -> None:
    skill = usable(OPEN)
    assert (skill.name, skill.form) == ("tide-tables", Form.OPEN)
    assert skill.description == "Tells the tides of a harbour."
    assert (skill.required_bins, skill.credentials) == (("tide",), ("TIDE_KEY",))
    assert [(each.kind, each.value("package"), each.bins) for each in skill.installs] == [
        ("node", "tide-cli", ("tide",))
    ]
    assert skill.allowed_tools == "Bash(tide:*) Read"
    assert codes(OPEN) == []


def test_a_heading_inside_a_fence_is_text() -> None:
    skill = usable(OPEN)
    assert [each.title for each in skill.sections] == ["", "Tide tables", "Usage"]
    fence = skill.sections[1].fences[0]
    assert (fence.language, fence.text) == ("sh", "## not a heading\ntide today")
    assert OPEN.split("\n")[fence.line - 1] == "## not a heading"


def test_the_form_of_headings_is_read_by_their_aliases() -> None:
    skill = usable(SECTIONS)
    assert (skill.name, skill.form) == ("harbour-lights", Form.SECTIONS)
    assert skill.description == "Switches the lights of a harbour."
    assert [each.text for each in skill.commands] == ["mkdir -p data"]
    assert SECTIONS.split("\n")[skill.commands[0].line - 1] == "mkdir -p data"
    assert skill.credentials == ("LIGHTS_API_KEY",)
    assert [each.kind for each in skill.sections if each.level == 2] == [
        SectionKind.DESCRIPTION,
        SectionKind.INSTALL,
        SectionKind.CREDENTIALS,
        SectionKind.USAGE,
    ]


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("Installation", SectionKind.INSTALL),
        ("🚀 Setup", SectionKind.INSTALL),
        ("1. Requirements", SectionKind.INSTALL),
        ("Step 2: Authentication", SectionKind.CREDENTIALS),
        ("API Keys", SectionKind.CREDENTIALS),
        ("Usage examples", SectionKind.USAGE),
        ("History", SectionKind.OTHER),
    ],
)
def test_headings_mean_what_people_mean(title: str, kind: SectionKind) -> None:
    skill = usable(f"What it is.\n\n## {title}\n\ntext\n", "x")
    assert skill.sections[-1].kind is kind


@pytest.mark.parametrize("namespace", ["openclaw", "clawdbot", "clawdis", "moltbot"])
def test_every_namespace_of_metadata_means_the_same(namespace: str) -> None:
    skill = usable(OPEN.replace("openclaw", namespace))
    assert skill.required_bins == ("tide",)


def test_yaml_that_people_write_wrongly_is_read_all_the_same() -> None:
    text = "---\nname: a\ndescription: Use this: it helps\n---\nbody\n"
    assert usable(text).description == "Use this: it helps"
    assert codes(text) == [(3, "FRONT_MATTER_YAML")]
    worse = "---\nname: a\ndescription: 'open\n  - [\n---\nbody\n"
    assert usable(worse).description == "'open"


def test_commands_that_stand_in_the_text_are_found() -> None:
    text = "What it is.\n\n## Install\n\n1. `npm install x`\n- `mkdir data`\n$ touch a\nJust text `x` here.\n"
    assert [each.text for each in usable(text).commands] == ["npm install x", "mkdir data", "touch a"]


def test_only_a_missing_description_makes_a_skill_unusable() -> None:
    parsed = parse_skill("---\nname: a\n---\n")
    assert parsed.skill is None
    assert [each.severity for each in parsed.diagnostics] == [Severity.ERROR]
    assert parse_skill("").skill is None
    assert usable("---\nname: x\n---\nFirst words.\n").description == "First words."


def test_oddities_are_told_with_their_lines() -> None:
    assert (1, "FRONT_MATTER_OPEN") in codes("---\nname: a\ndescription: b\n\ntext")
    assert (3, "FENCE_OPEN") in codes("Words.\n\n```sh\nls\n")
    assert (2, "NOT_UTF8") in codes(b"Words.\n\xff\n")


def test_aliases_of_aliases_cost_nothing() -> None:
    levels = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 'x'}]" for n in range(20))
    started = time.perf_counter()
    parse_skill(f"---\nname: a\ndescription: b\n{levels}\n---\nbody\n")
    assert time.perf_counter() - started < 2


def test_yaml_makes_no_objects() -> None:
    text = "---\nname: !!python/object/apply:os.system ['true']\ndescription: fine\nd: 2024-99-99\n---\n"
    assert usable(text, "folder").description == "fine"


def test_ids_are_safe_in_paths() -> None:
    assert skill_id("../../Evil Näme!") == "evil-n-me"
    assert skill_id("..") == ""


@given(st.binary(max_size=400) | st.text(max_size=400))
def test_nothing_makes_it_raise(content: bytes | str) -> None:
    parsed = parse_skill(content)
    assert parsed.skill is not None or any(each.severity is Severity.ERROR for each in parsed.diagnostics)


def test_ten_thousand_damaged_documents_are_parsed_without_raising() -> None:
    dice = random.Random(6)
    parts = [*OPEN.splitlines(keepends=True), *SECTIONS.splitlines(keepends=True)]
    parts += [
        "---\n",
        "```\n",
        "~~~~\n",
        "&a *a\n",
        "? [\n",
        "metadata: {\n",
        "\x00\n",
        "<<: *x\n",
        "- - -\n",
        "!!map\n",
    ]
    for _ in range(10_000):
        lines = dice.choices(parts, k=dice.randint(0, 12))
        if dice.random() < 0.5:
            lines.insert(0, "---\n")
        text = "".join(lines)
        for _ in range(dice.randint(0, 3)):
            at = dice.randint(0, len(text))
            text = text[:at] + dice.choice("{}[]\"':#-\n\t&*!|>%@`\ud800é") + text[at + dice.randint(0, 2) :]
        parse_skill(text)


def test_a_file_takes_less_than_five_milliseconds() -> None:
    text = OPEN + SECTIONS * 12  # 6 kB, as large as a typical one
    parse_skill(text)
    spent = []
    for _ in range(20):
        started = time.process_time()
        parse_skill(text)
        spent.append(time.process_time() - started)
    assert sorted(spent)[10] < 0.005


def strict(text: str, folder: str = "tide-tables") -> set[str]:
    found = conformance(text.encode(), folder=folder)
    return {each.code for each in found if each.code.startswith("STRICT_")}


def test_strict_conformance_is_reported_apart_from_loading() -> None:
    good = "---\nname: tide-tables\ndescription: Tells tides.\nlicense: MIT\n---\nBody\n"
    assert strict(good) == set()
    assert strict(good, "other") == {"STRICT_NAME_NOT_FOLDER"}
    assert strict(SECTIONS) == {"STRICT_NO_FRONT_MATTER"}
    assert strict(OPEN) == {"STRICT_METADATA"}
    assert strict(good.replace("tide-tables", "Tide--x")) == {"STRICT_BAD_NAME"}
    assert strict(good.replace("license", "licence")) == {"STRICT_UNKNOWN_KEY"}
    assert strict(good.replace("Tells tides.", "x" * 1025)) == {"STRICT_TOO_LONG"}
