"""Public repositories of agents that have a name of their own. Nothing is cloned until somebody asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_HOME = "https://github.com/PloinkyRepos"


@dataclass(frozen=True)
class Predefined:
    url: str
    about: str


PREDEFINED: Mapping[str, Predefined] = MappingProxyType(
    {
        "basic": Predefined(f"{_HOME}/Basic.git", "shells, Node, databases and other base agents"),
        "cloud": Predefined(f"{_HOME}/cloud.git", "command lines of cloud providers"),
        "vibe": Predefined(f"{_HOME}/vibe.git", "coding agents"),
        "security": Predefined(f"{_HOME}/security.git", "scanners and security tools"),
        "extra": Predefined(f"{_HOME}/extra.git", "further tools"),
        "demo": Predefined(f"{_HOME}/demo.git", "demonstrations"),
        "webmeet": Predefined(f"{_HOME}/webmeet.git", "meetings"),
        "fileExplorer": Predefined(f"{_HOME}/AssistOSExplorer.git", "file explorer"),
        "soplangBuilder": Predefined(f"{_HOME}/SOPLangBuilder.git", "SOP language builder"),
        "gitMCP": Predefined(f"{_HOME}/gitMCP.git", "git as tools"),
        "tasksMCP": Predefined(f"{_HOME}/tasksMCP.git", "tasks as tools"),
        "llmAssistant": Predefined(f"{_HOME}/llmAssistant.git", "model assistant"),
    }
)
