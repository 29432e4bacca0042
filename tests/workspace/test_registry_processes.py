"""Many processes at once, some of them killed: nothing of the registry is torn or lost."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ploinky.workspace.layout import Layout
from ploinky.workspace.registry import Registry, RegistryEntry
from ploinky.workspace.summary import read_summaries

WRITERS = 8
CHANGES = 15
WRITER = """
import sys
from pathlib import Path
from ploinky.workspace.layout import Layout
from ploinky.workspace.registry import Registry, RegistryEntry

registry = Registry(Layout(Path(sys.argv[1])), lock_timeout_s=60)
worker, changes = sys.argv[2], int(sys.argv[3])

def count(entries):
    for key in ("left", "right"):
        entries[key] = entries[key].model_copy(update={"order": entries[key].order + 1})
    return entries["left"].order

print("ready", flush=True)
sys.stdin.readline()
for turn in range(changes):
    registry.put(RegistryEntry(agent_name=f"w{worker}-{turn % 25}", repo_name="r"))
    print(registry.update(count), flush=True)
"""


@contextmanager
def writer(layout: Layout, worker: int, changes: int) -> Iterator[subprocess.Popen[str]]:
    """A process that adds agents and counts two entries up together, once told to go."""
    argv = [sys.executable, "-c", WRITER, str(layout.root), str(worker), str(changes)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


@pytest.fixture
def counted(layout: Layout) -> Layout:
    for key in ("left", "right"):
        Registry(layout).put(RegistryEntry(agent_name=key, repo_name="r"))
    return layout


def counters(layout: Layout) -> tuple[int, int]:
    entries = Registry(layout).read()
    return entries["left"].order, entries["right"].order


def test_eight_writers_lose_nothing_and_readers_see_no_torn_file(counted: Layout) -> None:
    with ExitStack() as stack:
        writers = [stack.enter_context(writer(counted, number, CHANGES)) for number in range(WRITERS)]
        for each in writers:
            go(each)
        reads, last = 0, 0
        deadline = time.monotonic() + 120
        while any(each.poll() is None for each in writers):
            assert time.monotonic() < deadline
            left, right = counters(counted)
            assert left == right
            assert left >= last
            assert len(read_summaries(counted)) >= 2
            last, reads = left, reads + 1
        assert [each.returncode for each in writers] == [0] * WRITERS
    assert reads > 10
    assert counters(counted) == (WRITERS * CHANGES, WRITERS * CHANGES)
    names = {f"w{number}-{turn}" for number in range(WRITERS) for turn in range(CHANGES)}
    assert set(Registry(counted).read()) == names | {"left", "right"}


@pytest.mark.parametrize("seed", range(5))
def test_a_writer_that_is_killed_leaves_a_whole_file_and_no_lock(counted: Layout, seed: int) -> None:
    chance = random.Random(seed)
    with writer(counted, 0, 100_000) as process:
        go(process)
        assert process.stdout is not None
        told = 0
        for _ in range(chance.randint(1, 30)):
            told = int(process.stdout.readline())
        killed_at = time.monotonic() + chance.uniform(0, 0.005)
        while time.monotonic() < killed_at:
            pass
        process.kill()
        process.wait()
    left, right = counters(counted)
    assert left == right >= told
    Registry(counted, lock_timeout_s=0.5).put(RegistryEntry(agent_name="after", repo_name="r"))
    assert list(Path(counted.control).glob(".tmp-*")) == []
