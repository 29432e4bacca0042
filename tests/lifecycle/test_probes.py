"""How agents are asked how they are, and what counts as an answer."""

from __future__ import annotations

import socket

import anyio
import pytest

from ploinky.channel.client import open_channel
from ploinky.lifecycle.options import StartOptions
from ploinky.lifecycle.planner import plan_agent
from ploinky.lifecycle.probes import Answer, Asking, Check, readiness_check
from ploinky.lifecycle.pulse import Attempts, Patience, Pulse
from ploinky.lifecycle.sandboxes import socket_folder
from ploinky.lifecycle.starting import start_agent
from ploinky.runtimes.spec import SOCKET_NAME
from tests.lifecycle.stage import Stage, collect

pytestmark = pytest.mark.bubblewrap

SERVER = """
import http.server, json, os, time

class Answers(http.server.BaseHTTPRequestHandler):
    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/slow":
            time.sleep(1000)
        self.answer({"/health": 204, "/moved": 302, "/broken": 500}.get(self.path, 404), b"")

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "no session"}}
        self.answer(400, json.dumps(body).encode() if self.path == "/mcp" else b"")

    def log_message(self, *args):
        pass

http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Answers).serve_forever()
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def answer_of(stage: Stage, health: dict[str, object]) -> Answer:
    """Start a real server under one readiness rule of its own port, then ask it once by another."""
    port = free_port()
    manifest = {"agent": "python3 /code/server.py", "ports": [f"{port}:{port}"]}
    stage.add("server", manifest, {"server.py": SERVER})
    entry = await stage.enable("server")
    await collect(start_agent(stage.ctx, "server"))
    stage.add(
        "server", {**manifest, "health": {"readiness": health}}, {"server.py": SERVER, "no.sh": "exit 3\n"}
    )
    plan = plan_agent(stage.ctx, entry)
    asking = Asking(plan.location.folder, plan.config.main_port, {"PATH": "/usr/bin:/bin"})
    async with open_channel(socket_folder(stage.ctx, "server") / SOCKET_NAME) as channel:
        return await readiness_check(plan.config, asking).answer(channel)


@pytest.mark.parametrize(
    ("health", "reason"),
    [
        ({"http": "/health"}, None),
        ({"http": "/moved"}, None),
        ({"http": "/broken"}, "/broken answered 500"),
        ({"http": "/slow", "timeout": 0.3}, "no answer within 0.3 s"),
        ({"protocol": "tcp"}, None),
        ({"protocol": "mcp"}, None),
        ({"protocol": "none"}, None),
        ({"tcp": 1}, "1"),
        ({"script": "./no.sh"}, "./no.sh ended with exit code 3"),
    ],
)
async def test_each_kind_of_question_gets_its_answer(
    stage: Stage, health: dict[str, object], reason: str | None
) -> None:
    answer = await answer_of(stage, health)
    assert answer.ok is (reason is None)
    if reason is not None:
        assert reason in answer.reason


async def test_an_agent_whose_sandbox_is_gone_is_not_well_and_no_exception(stage: Stage) -> None:
    stage.add("one", {"agent": "sleep 1000"})
    entry = await stage.enable("one")
    await collect(start_agent(stage.ctx, "one", StartOptions()))
    plan = plan_agent(stage.ctx, entry)
    check = readiness_check(plan.config, Asking(plan.location.folder, 7000, {}))
    async with open_channel(socket_folder(stage.ctx, "one") / SOCKET_NAME) as channel:
        assert (await check.answer(channel)).ok
        await stage.ctx.runtime.stop(entry.container_name, grace_s=0)
        answer = await check.answer(channel)
    assert not answer.ok
    assert answer.reason


def check(*, failures: int = 3, successes: int = 2, start_period_s: float = 0.0) -> Check:
    async def never(_: object) -> Answer:
        raise AssertionError("nobody asks in these tests")

    return Check(never, 5, 5, failures, successes, start_period_s)


GOOD, BAD = Answer(True), Answer(False, "ill")


def verdicts(pulse: Pulse, answers: list[Answer], *, age_s: float = 100) -> list[bool | None]:
    found = []
    for each in answers:
        pulse.take(each, age_s=age_s)
        found.append(pulse.well)
    return found


def test_a_verdict_changes_only_after_enough_answers_in_a_row() -> None:
    pulse = Pulse(check())
    assert verdicts(pulse, [GOOD, GOOD, BAD, BAD, GOOD, BAD, BAD, BAD, GOOD, GOOD]) == [
        *(None, True, True, True, True, True, True, False, False, True)
    ]


def test_bad_answers_in_the_start_period_do_not_count() -> None:
    pulse = Pulse(check(start_period_s=10))
    assert verdicts(pulse, [BAD] * 5, age_s=9) == [None] * 5
    assert verdicts(pulse, [BAD] * 3, age_s=11)[-1] is False


async def test_tries_come_at_once_first_and_then_with_doubling_pauses_until_they_are_used_up() -> None:
    attempts = Attempts(Patience(most=5, first_s=1, longest_s=3, window_s=60))
    assert [attempts.next_pause_s() for _ in range(5)] == [0, 1, 2, 3, 3]
    assert attempts.exhausted
    attempts.forget()
    assert not attempts.exhausted


async def test_tries_outside_the_window_are_forgotten() -> None:
    attempts = Attempts(Patience(most=1, first_s=1, longest_s=1, window_s=0.05))
    attempts.next_pause_s()
    assert attempts.exhausted
    with anyio.fail_after(5):
        while attempts.exhausted:
            await anyio.lowlevel.checkpoint()
