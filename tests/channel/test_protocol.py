"""The two halves of the protocol agree, and both take any bytes: fuzzing, valgrind, properties."""

from __future__ import annotations

import re
import shutil
import subprocess
from enum import IntEnum, IntFlag
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ploinky.channel import frames
from ploinky.channel.client import (
    LauncherState,
    LaunchRequest,
    Limit,
    RestartPolicy,
    SpawnRequest,
    await_channel,
)
from ploinky.channel.frames import FrameReader, FrameType, MalformedError, decode_entries, encode_frame, entry
from tests.channel.conftest import ROOT, load_builder, python, started
from tests.engines import absent

FUZZ = ROOT / "launcher" / "fuzz" / "fuzz_frames.c"
PARSERS = [ROOT / "launcher" / "frames.c", ROOT / "launcher" / "tlv.c"]
SANITIZE = ["-O1", "-g", "-fno-omit-frame-pointer", "-fno-sanitize-recover=all"]
FUZZ_SECONDS = 20


def header_numbers() -> dict[str, int]:
    text = (ROOT / "launcher" / "protocol.h").read_text(encoding="ascii")
    return {name: int(value) for name, value in re.findall(r"\b([A-Z]+_[A-Z_]+) = (\d+)", text)}


def test_both_sides_have_the_same_numbers() -> None:
    numbers = header_numbers()
    prefixes: dict[str, type[IntEnum] | type[IntFlag]] = {
        "F_": frames.FrameType,
        "T_": frames.RequestTag,
        "R_": frames.ReplyTag,
        "E_": frames.ErrorCode,
        "SPAWN_": frames.SpawnFlag,
        "EXIT_": frames.ExitFlag,
        "KILL_": frames.KillFlag,
    }
    for prefix, table in prefixes.items():
        theirs = {name[len(prefix) :]: number for name, number in numbers.items() if name.startswith(prefix)}
        assert theirs == {member.name: int(member) for member in table}, prefix
    states = {name[6:].lower(): number for name, number in numbers.items() if name.startswith("STATE_")}
    assert [state.value for state in LauncherState] == sorted(states, key=states.__getitem__)
    policies = {name[7:].lower(): number for name, number in numbers.items() if name.startswith("POLICY_")}
    assert [policy.name.lower() for policy in RestartPolicy] == sorted(policies, key=policies.__getitem__)
    assert sorted(number for name, number in numbers.items() if name.startswith("LIMIT_")) == sorted(Limit)


@given(
    st.lists(st.tuples(st.integers(0, 255), st.integers(0, 2**32 - 1), st.binary(max_size=300)), max_size=8),
    st.lists(st.integers(1, 400), max_size=20),
)
def test_frames_arrive_whole_however_the_stream_is_cut(
    sent: list[tuple[int, int, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(encode_frame(*frame) for frame in sent)
    reader = FrameReader()
    received = []
    for cut in [*cuts, len(stream)]:
        received += list(reader.feed(stream[:cut]))
        stream = stream[cut:]
    assert received == sent


@given(st.binary(max_size=300))
def test_any_payload_is_decoded_or_refused(payload: bytes) -> None:
    try:
        entries = decode_entries(payload)
    except MalformedError:
        return
    assert sum(len(value) + 5 for value in entries.values()) <= len(payload)


def test_a_frame_too_large_is_refused_before_it_is_kept() -> None:
    with pytest.raises(MalformedError):
        list(FrameReader().feed(b"\x01\x00\x10\x00" + bytes([FrameType.STDOUT]) + bytes(4)))


def test_an_integer_has_eight_bytes() -> None:
    assert frames.integer(decode_entries(entry(1, 2**64 - 1)), 1) == 2**64 - 1
    with pytest.raises(MalformedError):
        frames.integer({1: b"\x01"}, 1)


def test_the_parsers_of_the_launcher_survive_fuzzing(tmp_path: Path) -> None:
    program = tmp_path / "fuzz"
    clang = shutil.which("clang")
    if clang is not None and built([clang, *SANITIZE, "-fsanitize=fuzzer,address,undefined"], program):
        argv = [str(program), f"-max_total_time={FUZZ_SECONDS}", "-seed=1", "-max_len=4096"]
    else:
        compiler = load_builder().system_compiler()
        if compiler is None:
            absent("compiler", "there is no C compiler")
        flags = [*SANITIZE, "-DOWN_DRIVER", "-fsanitize=address,undefined"]
        assert built([*compiler, "-std=c11", *flags], program)
        argv = [str(program), "400000", "1"]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-4000:]


def built(compiler: list[str], output: Path) -> bool:
    argv = [*compiler, str(FUZZ), *map(str, PARSERS), "-o", str(output)]
    return subprocess.run(argv, capture_output=True, timeout=120, check=False).returncode == 0


async def test_valgrind_finds_no_fault_in_a_session(tmp_path: Path) -> None:
    valgrind = shutil.which("valgrind")
    builder = load_builder()
    compiler = builder.system_compiler()
    if valgrind is None:
        absent("valgrind", "it is not installed")
    if compiler is None:
        absent("compiler", "there is no C compiler")
    binary = tmp_path / "bin" / "launcher"
    builder.compile_launcher(compiler, binary, ("-O1", "-g"))
    report = tmp_path / "report"
    line = [
        valgrind,
        "--error-exitcode=99",
        "--leak-check=full",
        "--show-leak-kinds=definite,indirect,possible",
    ]
    line += ["--track-fds=yes", f"--log-file={report}", "--child-silent-after-fork=yes", str(binary)]
    with started(line) as launcher:
        async with await await_channel(launcher.socket, timeout_s=30) as channel:
            assert (await channel.run(SpawnRequest(("cat",)), b"x" * 600_000)).exit.ok
            assert (await channel.run(SpawnRequest(python("print(input())"), pty=(24, 80)), b"hi\n")).exit.ok
            assert (await channel.run(SpawnRequest(("yes",), max_output=100_000))).exit.output_limited
            assert await channel.read_file("/etc/passwd", 1 << 20) is not None
            with pytest.raises(Exception, match="no program"):
                await channel.run(SpawnRequest(("no-such-program",)))
            with pytest.raises(Exception, match="answers on port"):
                await channel.connect_port(1)
            await channel.launch(LaunchRequest(("sh", "-c", "exit 1"), ("sleep", "60"), backoff_first_s=0.01))
            abandoned = await channel.spawn(SpawnRequest(("sleep", "60"), grace_s=0.1))
            await abandoned.send(b"never read")
            await channel.shutdown(1)
        code = launcher.process.wait(30)
    said = report.read_text()
    assert code == 0, said
    assert "ERROR SUMMARY: 0 errors" in said
    open_files = re.search(r"FILE DESCRIPTORS: (\d+) open \((\d+) std\)", said)
    assert open_files is not None, said
    # signals, the socket and valgrind's own log are still open at the end; connections and programs are not
    assert int(open_files[1]) - int(open_files[2]) <= 4, said
