"""How ``enable`` names an agent: ``[repo/]name [global | devel REPO] [as ALIAS] [no-wait]``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from ploinky.base.errors import UsageError
from ploinky.base.names import closest, is_name


class RunMode(StrEnum):
    """Which folder an agent works in: its own, the whole workspace, or a repository's source."""

    ISOLATED = "isolated"
    GLOBAL = "global"
    DEVEL = "devel"


@dataclass(frozen=True)
class AgentRef:
    """An agent named by ``enable``: ``[repo/]name [global | devel REPO] [as ALIAS] [no-wait]``.

    ``devel_repo`` is a repository's name or a folder. ``str()`` is that form; reading it again gives an
    equal value.
    """

    agent: str
    repo: str | None = None
    run_mode: RunMode = RunMode.ISOLATED
    devel_repo: str | None = None
    alias: str | None = None
    no_wait: bool = False

    @property
    def key(self) -> str:
        """The name in the registry."""
        return self.alias or self.agent

    def __str__(self) -> str:
        words = [f"{self.repo}/{self.agent}" if self.repo else self.agent]
        if self.run_mode is RunMode.GLOBAL:
            words.append("global")
        elif self.run_mode is RunMode.DEVEL:
            words += ["devel", self.devel_repo or ""]
        if self.alias:
            words += ["as", self.alias]
        if self.no_wait:
            words.append("no-wait")
        return " ".join(words)


_HINT = "Write '[repo/]name [global | devel REPO] [as ALIAS] [no-wait]'."
_WORDS = ("global", "devel", "as", "no-wait")
_FOLDER = re.compile(r"[^\s\0]*/[^\s\0]*\Z")


def parse_agent_ref(text: str) -> AgentRef:
    """Read one ``enable`` entry; the words after the name may stand in any order, each once.

    Raises:
        UsageError: ``BAD_AGENT_REF``, saying which word is wrong.
    """
    words = text.split()
    if not words:
        raise _bad("an agent's name is missing")
    repo, agent = _name(words[0])
    found = _options(words[1:])
    if "global" in found and "devel" in found:
        raise _bad("an agent runs in 'global' or in 'devel' mode, not in both")
    mode = RunMode.GLOBAL if "global" in found else RunMode.DEVEL if "devel" in found else RunMode.ISOLATED
    return AgentRef(
        agent=agent,
        repo=repo,
        run_mode=mode,
        devel_repo=found.get("devel"),
        alias=found.get("as"),
        no_wait="no-wait" in found,
    )


def _name(word: str) -> tuple[str | None, str]:
    repo, slash, agent = word.rpartition("/")
    if not is_name(agent) or (slash and not is_name(repo)):
        raise _bad(f"{word!r} is not an agent's name")
    return (repo or None), agent


def _options(words: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if word not in _WORDS:
            near = closest(word, _WORDS)
            raise _bad(f"{word!r} is not understood" + (f" (did you mean {near!r}?)" if near else ""))
        if word in found:
            raise _bad(f"{word!r} is said twice")
        found[word] = _argument(word, next(rest, "")) if word in ("devel", "as") else ""
    return found


def _argument(word: str, value: str) -> str:
    if word == "as" and not is_name(value):
        raise _bad("'as' needs an alias: letters, digits, '.', '_' or '-'")
    if word == "devel" and not (is_name(value) or _FOLDER.match(value)):
        raise _bad("'devel' needs the name of a repository or a folder")
    return value


def _bad(reason: str) -> UsageError:
    return UsageError("BAD_AGENT_REF", f"Bad agent reference: {reason}.", hint=_HINT)
