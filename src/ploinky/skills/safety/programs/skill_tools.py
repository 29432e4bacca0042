"""Tools that give an assistant skills, plug-ins or servers, and other assistants as programs.

They ask; what takes an assistant its questions, or tells it a text from the network, is refused. To know one
more tool, add it to ``_SKILL_TOOLS`` and to the table of ``dispatch``.
"""

from __future__ import annotations

import json
import re
import shlex

from ploinky.skills.safety.invocation import EMPTY, Invocation, Result
from ploinky.skills.safety.programs.interpreters import language_of
from ploinky.skills.safety.programs.projects import brings, installs_fetched, is_unchecked
from ploinky.skills.safety.values import Taint, Value

_SKILL_TOOLS = frozenset("clawhub clawdhub molthub moltbot openclaw clawdbot skills skillhub "
                         "add-skill openskills claude codex gemini cursor opencode smithery "
                         "mcp-get".split())  # fmt: skip
_SKIPS = frozenset({"--yes", "-y", "--force", "--no-confirm", "--yolo", "--all",
                    "--auto-approve", "--trust", "--no-verify", "--skip-review",
                    "--non-interactive", "--no-input", "--assume-yes", "--skip-confirmation"})  # fmt: skip
_UNSAFE = re.compile(
    r"--dangerously-\S+|--yolo\b|--full-auto\b|--permission-mode[= ]bypass\S*|--allow-dangerous\S*"
    r"|--no-sandbox\b|--sandbox[= ]"
    r"(?:danger\S*|none|off)|--approval-mode[= ](?:yolo|full\S*|never)|--ask-for-approval[= ]never"
    r"|--yes-always\b|--allow-all\S*|--auto-approve\S*|--bypass\S*|--skip-permissions\S*"
)
_QUESTIONS = re.compile(
    r"approv|permission|sandbox|trust|dangerous|yolo|confirm|\bask|safe|auto", re.IGNORECASE
)


def skill_tool(call: Invocation) -> Result:
    """Tools that give an assistant skills, plug-ins or servers;
    ``claude -p`` and its kin run another assistant.
    """
    texts = call.texts
    if "--" in texts:
        end = texts.index("--")
        call.inner(call.args[end + 1 :])
        texts = texts[:end]
    whole = " ".join(texts)
    words = {each for each in texts if not each.startswith("-")}
    if _UNSAFE.search(whole) or (call.program == "cursor-agent" and {"-f", "--force"} & set(texts)):
        call.report("skip-confirmation", "an assistant without its questions")
    for each in call.args:
        _judge_server(call, each)
    if "config" in words and _QUESTIONS.search(whole):
        call.report("skip-confirmation", "takes an assistant its questions")
    if installs_fetched(call):
        return EMPTY
    changes = words & {
        "install",
        "update",
        "add",
        "upgrade",
        "sync",
        "i",
        "uninstall",
        "remove",
        "publish",
        "enable",
        "import",
    }
    if changes and (_SKIPS & set(texts) or any(each.startswith("--registry") for each in texts)):
        call.report(
            "skip-confirmation", "installs skills without asking, all of them, or from another registry"
        )
    elif not texts or texts[0] not in (
        "--version",
        "-v",
        "-V",
        "--help",
        "list",
        "search",
        "version",
        "help",
    ):
        call.report("skill-install" if changes else "account")
    if _is_told_remotely(call):
        call.report("remote-exec", "an assistant is told a text from the network")
    return EMPTY


def _judge_server(call: Invocation, value: Value) -> None:
    """A server written as JSON: its command line is one that runs."""
    try:
        server = json.loads(value.text) if value.text.startswith("{") else None
    except (ValueError, RecursionError):
        return
    if isinstance(server, dict) and isinstance(server.get("command"), str):
        given = server.get("args")
        words = [server["command"], *(str(each) for each in (given if isinstance(given, list) else []))]
        call.walker.evaluate(shlex.join(words), None)


def _is_told_remotely(call: Invocation) -> bool:
    """Whether what another assistant is told came from the network unchecked:
    fed, as an argument or by a file.
    """
    if call.stdin is not None and Taint.REMOTE in call.stdin.taints:
        return True
    named = [each.with_text(re.sub(r"^(?:--[\w-]+=)?@?", "", each.text)) for each in call.args]
    return any(Taint.REMOTE in each.taints for each in call.args) or any(
        is_unchecked(call.machine.facts(call.place(each).path))
        for each in named
        if each.text and " " not in each.text
    )


def is_skill_tool(name: str) -> bool:
    """Whether a program of that name (also behind npx) installs skills."""
    return re.sub(r"@[\w.^~-]+\Z", "", name) in _SKILL_TOOLS


def through_npx(call: Invocation) -> Result:
    """``npx name ...``, ``uvx name ...``: a tool for skills counts as itself; other packages ask."""
    args = list(call.args)
    yes = False
    while args and args[0].text.startswith("-"):
        flag = args.pop(0).text
        yes = yes or flag in ("-y", "--yes")
        if flag in ("-p", "--package", "--from", "--with", "--python", "-c", "--call") and args:
            value = args.pop(0)
            if flag in ("-c", "--call"):
                call.walker.evaluate(value.text, None)
    words = [each for each in args if not each.text.startswith("-")]
    if len(words) > 1 and words[0].text.partition("@")[0] in ("degit", "tiged", "giget"):
        brings(call, words[2] if len(words) > 2 else words[1].with_text(words[1].text.rpartition("/")[2]))
    if args and language_of(args[0].text):
        return call.inner(args)
    if args and is_skill_tool(args[0].text):
        name = re.sub(r"@[\w.^~-]+\Z", "", args[0].text)
        return skill_tool(Invocation(args[0].with_text(name), tuple(args[1:]), call.stdin, call.walker))
    return EMPTY
