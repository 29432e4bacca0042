"""RPC rows of agent repositories."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from ploinky.base.jsontypes import JsonValue
from ploinky.gateway.methods.running import OperationAnswer, collect, run_operation
from ploinky.gateway.rpc.method import Answer, Call, Method, NoParams, Params, Rate, Scope, reading
from ploinky.operations import repositories

_CLONE = Rate(30, 10)


class RepoParams(Params):
    """``name``: the repository's."""

    name: Annotated[str, Field(min_length=1, max_length=100)]


class AddParams(RepoParams):
    """``url`` may be left out for a known name; ``wait``: answer when it is done."""

    url: Annotated[str, Field(max_length=2000)] | None = None
    branch: Annotated[str, Field(max_length=200)] | None = None
    wait: bool = True

    @property
    def agent(self) -> None:
        return None


class UpdateParams(Params):
    """``names``: which; left out: all. ``wait``: answer when it is done."""

    names: list[str] = Field(default_factory=list, max_length=100)
    wait: bool = True

    @property
    def agent(self) -> None:
        return None


class RepoRow(Answer):
    """One repository, installed or known by name."""

    name: str
    installed: bool
    enabled: bool
    url: str | None
    branch: str | None
    commit: str | None
    agents: int | None
    about: str | None


class RepoAnswer(Answer):
    """Whether its agents count now."""

    repo: str
    enabled: bool


async def list_repos(call: Call, params: NoParams) -> JsonValue:
    """Installed repositories, then the known ones that are not installed."""
    return await collect(repositories.list_repos(call.services.platform()))


async def add_repo(call: Call, params: AddParams) -> OperationAnswer:
    """Clone or copy a repository of agents."""
    platform = call.services.platform()
    events = repositories.add_repo(
        platform, params.name, params.url, params.branch, relative_to=platform.layout.root
    )
    return await run_operation(call, events, f"Add repository {params.name}", params)


async def enable_repo(call: Call, params: RepoParams) -> JsonValue:
    """Let agents be found in an installed repository."""
    return await collect(repositories.enable_repo(call.services.platform(), params.name))


async def disable_repo(call: Call, params: RepoParams) -> JsonValue:
    """Leave a repository out; its files and the agents enabled from it stay."""
    return await collect(repositories.disable_repo(call.services.platform(), params.name))


async def update_repos(call: Call, params: UpdateParams) -> OperationAnswer:
    """Bring repositories forward."""
    events = repositories.update_repos(call.services.platform(), tuple(params.names))
    return await run_operation(call, events, "Update repositories", params)


REPO_METHODS: tuple[Method[Any], ...] = (
    reading("repos.list", NoParams, list[RepoRow], Scope.AGENTS_READ, list_repos),
    Method("repos.add", AddParams, OperationAnswer, Scope.ADMIN, add_repo, _CLONE),
    Method("repos.enable", RepoParams, RepoAnswer, Scope.AGENTS_MANAGE, enable_repo),
    Method("repos.disable", RepoParams, RepoAnswer, Scope.AGENTS_MANAGE, disable_repo),
    Method("repos.update", UpdateParams, OperationAnswer, Scope.AGENTS_MANAGE, update_repos, _CLONE),
)
