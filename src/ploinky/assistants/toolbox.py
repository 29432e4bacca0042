"""The tools of one assistant at this moment: its built-ins and what agents offer, by its allow-lists.

Says which there are, whether arguments fit, how risky a call is; and calls. Whether a call may go ahead is
decided by ``turn.judge``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase

import anyio

from ploinky.assistants.settings import ToolSettings
from ploinky.assistants.toolkit import AgentTools, BuiltinTool, Risk, ToolOutcome, ToolSpec, ToolUse
from ploinky.base.errors import PloinkyError
from ploinky.base.jsontypes import JsonObject

_MOST_DESCRIPTION = 2000


class Toolbox:
    """``settings`` gives the tool settings of this moment; ``assistant`` is whom agents see as caller."""

    def __init__(
        self,
        assistant: str,
        builtins: Sequence[BuiltinTool],
        agents: AgentTools,
        settings: Callable[[], ToolSettings],
    ) -> None:
        self._assistant = assistant
        self._builtins = {tool.spec.name: tool for tool in builtins}
        self._agents = agents
        self._settings = settings

    def offered(self) -> list[ToolSpec]:
        """Every tool that the allow-lists let through, built-ins first."""
        settings = self._settings()
        found = [tool.spec for tool in self._builtins.values()] + [
            ToolSpec(
                name=f"{tool.agent}.{tool.name}",
                description=tool.description[:_MOST_DESCRIPTION],
                input_schema=tool.input_schema,
                risk=Risk.LOW if tool.read_only else Risk.HIGH,
                agent=tool.agent,
                outside=True,
            )
            for tool in self._agents.tools()
        ]
        return [spec for spec in found if _is_allowed(spec.name, settings)]

    def find(self, name: str) -> ToolSpec | None:
        """An offered tool by its name; ``agent__tool`` is understood too."""
        specs = {spec.name: spec for spec in self.offered()}
        return specs.get(name) or specs.get(name.replace("__", ".", 1))

    async def call(self, spec: ToolSpec, arguments: JsonObject, use: ToolUse) -> ToolOutcome:
        """Call a tool; whatever goes wrong is an outcome that says so. Cancelling ends the tool."""
        settings = self._settings()
        fault = misfit(spec.input_schema, arguments) if spec.agent is None else None
        if fault is not None:
            return ToolOutcome(f"The arguments do not fit: {fault}", is_error=True, outside=False)
        try:
            with anyio.fail_after(settings.timeout):
                if spec.agent is None:
                    outcome = await self._builtins[spec.name].handler(arguments, use)
                else:
                    outcome = await self._agents.call(
                        spec.agent,
                        spec.name[len(spec.agent) + 1 :],
                        arguments,
                        caller=self._assistant,
                        on_progress=use.on_progress,
                    )
        except TimeoutError:
            return ToolOutcome(f"{spec.name} did not end within {settings.timeout:g} s.", is_error=True)
        except PloinkyError as error:
            hint = f" {error.hint}" if error.hint else ""
            return ToolOutcome(f"{error.code}: {error.message}{hint}", is_error=True, outside=False)
        outside = spec.outside if outcome.outside is None else outcome.outside
        return replace(outcome, text=_bounded(outcome.text, settings.max_result_chars), outside=outside)


def misfit(input_schema: JsonObject, arguments: JsonObject) -> str | None:
    """Why ``arguments`` do not fit the schema, None if they do; quotes no values."""
    import jsonschema_rs

    error = next(iter(jsonschema_rs.validator_for(input_schema).iter_errors(arguments)), None)
    if error is None:
        return None
    place = ".".join(str(step) for step in error.instance_path)
    return f"{place}: {error.message}" if place else error.message


def _is_allowed(name: str, settings: ToolSettings) -> bool:
    return matches(name, settings.allow) and not matches(name, settings.deny)


def matches(name: str, globs: Sequence[str]) -> bool:
    """Whether any of the globs fits a tool's name."""
    return any(fnmatchcase(name, glob) for glob in globs)


def _bounded(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return f"{text[:limit]}\n[… {len(text) - limit} more characters were left out …]"
