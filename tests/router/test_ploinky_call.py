"""``ploinky-call`` as an agent's program uses it: against a real router, with the agent's own token."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploinky.channel.binary import launcher_folder
from tests.router.stand import Stand, open_stand

BLOCKS = '[{"type": "text", "text": "a"}, {"type": "audio", "data": "AA==", "mimeType": "audio/wav"}]'
CALL = launcher_folder({}) / "ploinky-call"


@pytest.fixture(scope="module")
async def stand() -> AsyncIterator[Stand]:
    async with open_stand("alpha", "beta", "gamma") as each:
        beta, gamma = each.agents["beta"], each.agents["gamma"]
        beta.configure(
            beta.tool("say", 'printf "%s\\n" "$INPUT_TEXT"', inputSchema={"text": {"type": "string"}}),
            beta.tool("fails", "echo no luck >&2; exit 1"),
            beta.tool("blocks", f"echo '{BLOCKS}'", output="content"),
        )
        gamma.configure(gamma.tool("hidden", "echo never"))
        each.agents["alpha"].may_call = frozenset({"beta"})
        await each.look()
        yield each


async def call(
    stand: Stand, *words: str, stdin: bytes = b"", environ: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run it as the agent ``alpha``."""
    own = {"PLOINKY_ROUTER_URL": f"http://127.0.0.1:{stand.port}", "PLOINKY_AGENT_TOKEN": "agent:alpha"}
    with anyio.fail_after(20):
        return await anyio.run_process(
            [str(CALL), *words], input=stdin, env={**own, **(environ or {})}, check=False
        )


async def test_a_tools_text_is_printed(stand: Stand) -> None:
    text = 'größe "x"\n\tend \\ 😀'
    for words, stdin in (
        (("beta.say", json.dumps({"text": text})), b""),
        (("say", json.dumps({"text": text}, ensure_ascii=False)), b""),
        (("beta.say", "-"), json.dumps({"text": text}).encode()),
    ):
        done = await call(stand, *words, stdin=stdin)
        assert (done.returncode, done.stdout.decode(), done.stderr) == (0, text + "\n", b"")
    blocks = (await call(stand, "beta.blocks")).stdout.decode().splitlines()
    assert (blocks[0], json.loads(blocks[1])["type"]) == ("a", "audio")


async def test_what_fails_is_told_and_ends_with_one(stand: Stand) -> None:
    for words, message in (
        (("beta.fails",), "no luck"),
        (("beta.say",), "text: is required"),
        (("beta.nothing",), "nothing"),
        (("gamma.hidden",), "does not enable"),
        (("hidden",), "does not enable"),
        (("nowhere",), "Unknown tool"),
        (("beta.say", "[1]"), "not a JSON object"),
        (("beta.say", '{"text": "x"} , "name": "other"'), "not a JSON object"),
    ):
        done = await call(stand, *words)
        assert (done.returncode, done.stdout) == (1, b""), words
        assert message in done.stderr.decode()


async def test_wrong_words_are_refused_before_anything_is_sent(stand: Stand) -> None:
    for words in ((), ("a", "{}", "c"), ("be/ta.say",), ('x"y',), ("beta.",), ("a b",), (".say",)):
        assert (await call(stand, *words)).returncode == 2
    for environ in (
        {"PLOINKY_ROUTER_URL": ""},
        {"PLOINKY_ROUTER_URL": "https://127.0.0.1:1"},
        {"PLOINKY_AGENT_TOKEN": ""},
        {"PLOINKY_AGENT_TOKEN": "a\r\nX: y"},
    ):
        done = await call(stand, "beta.say", environ=environ)
        assert (done.returncode, b"must be as an agent has them" in done.stderr) == (1, True)
    gone = await call(stand, "beta.say", environ={"PLOINKY_ROUTER_URL": "http://127.0.0.1:1"})
    assert (gone.returncode, b"cannot be reached" in gone.stderr) == (1, True)
    wrong = await call(stand, "beta.say", environ={"PLOINKY_AGENT_TOKEN": "nobody"})
    assert (wrong.returncode, b"nobody" in wrong.stderr) == (1, False)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, st.integers(0, 40), st.sampled_from(["", ",", "}", '"', "\\", "0", "\x01", "tru"]))
def test_its_reader_of_json_agrees_with_python(value: object, at: int, noise: str) -> None:
    text = json.dumps(value)
    text = text[:at] + noise + text[at:]
    if "\0" in text:
        return
    try:
        valid = isinstance(json.loads(text, parse_constant=_refuse), dict)
    except ValueError:
        valid = False
    environ = {"PLOINKY_ROUTER_URL": "http://127.0.0.1:1", "PLOINKY_AGENT_TOKEN": "t"}
    done = subprocess.run([CALL, "a.b", text], env=environ, capture_output=True, timeout=20, check=False)
    assert (b"not a JSON object" not in done.stderr) == valid, text


def _refuse(word: str) -> object:
    raise ValueError(word)
