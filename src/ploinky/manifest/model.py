"""The manifest as one pydantic model: the schema that files are read by and editors are given.

The top level and each profile are layers with the same fields; ``effective`` lays them over each other.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field, PrivateAttr

from ploinky.manifest.faults import Warning_
from ploinky.manifest.fields import (
    AnyFlag,
    CommandLine,
    CommandsPart,
    Env,
    EnvName,
    ExposeField,
    HealthPart,
    HookField,
    Image,
    McpPart,
    MountsPart,
    Name,
    NetworkField,
    NonEmpty,
    Part,
    Ports,
    ProfileName,
    Ref,
    RepoField,
    ResourcesPart,
    SecurityPart,
    VolumeHost,
    VolumeOptionsPart,
    Workdir,
)

SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Layer(Part):
    """What the top level and a profile may both say."""

    about: str | None = Field(None, description="What the agent is, for people.")
    env: Env | None = Field(
        None,
        description="Variables: a list of NAME, NAME=default, wildcards and objects, or a map in which a"
        " string is a fixed value. Wildcards never pass names that look like keys.",
    )
    secrets: list[EnvName] | None = Field(None, description="Secrets without which no start is made.")
    preinstall: HookField | None = Field(None, description="Runs in the agent before install.")
    install: HookField | None = Field(None, description="Runs in the agent: the main installation.")
    postinstall: HookField | None = Field(None, description="Runs in the agent after install.")
    hosthook_preinstall: HookField | None = Field(None, description="Runs on the host before creation.")
    hosthook_aftercreation: HookField | None = Field(None, description="Runs on the host after creation.")
    hosthook_postinstall: HookField | None = Field(None, description="Runs on the host after postinstall.")
    mounts: MountsPart | None = Field(None, description="rw or ro for code and skills.")
    dependencies: dict[NonEmpty, str] | None = Field(None, description="npm packages and their ranges.")
    enable: list[Ref] | None = Field(
        None, description="Agents it depends on: [repo/]name [global | devel REPO] [as ALIAS] [no-wait]."
    )
    repos: dict[Name, RepoField] | None = Field(None, description="By name: URL or {url, branch}.")
    port: Ports | None = Field(None, description="The same as ports.")
    ports: Ports | None = Field(None, description="Ports offered on the host: [ip:][host:]container[/udp].")
    volumes: dict[VolumeHost, str] | None = Field(
        None, description="Path in the workspace to absolute path in the agent; ':ro' may follow."
    )
    volume_options: dict[str, VolumeOptionsPart] | None = Field(
        None, alias="volumeOptions", description="By path in the agent: what is done to the host folder."
    )
    health: HealthPart | None = Field(None, description="Liveness and readiness probes.")
    network: NetworkField | None = Field(None, description="workspace, none, host, or an object.")
    resources: ResourcesPart | None = Field(None, description="Limits of cpus, memory, pids.")
    container_security: SecurityPart | None = Field(
        None, alias="containerSecurity", description="Privileges, capabilities, read-only root, user."
    )
    expose: dict[EnvName, ExposeField] | None = Field(
        None, description="Variables given to the agent: name to a fixed value or $OTHER."
    )
    mcp: McpPart | None = Field(None, description="The agent is an MCP server: {command}, {port} or {url}.")
    agent: str | None = Field(None, description="Command of the agent's own server.")
    start: str | None = Field(None, description="Main process; agent then runs beside it.")
    cli: str | None = Field(None, description="Interactive command.")
    run: str | None = Field(None, description="Command that 'run' starts.")
    commands: CommandsPart | None = Field(None, description="Older place of run and the others.")
    entrypoint: CommandLine | None = Field(None, description="Replaces the image's entry point.")
    workdir: Workdir | None = Field(None, description="Working directory in the agent (/code).")


class Profile(Layer):
    """What differs in one environment. ``default`` lies under all others."""

    extends: ProfileName | None = Field(None, description="Profile that this one is laid over.")


class Manifest(Layer):
    """What an agent is and needs."""

    container: Image | None = Field(None, description="OCI image; ${VAR} is expanded. Needed.")
    image: Image | None = Field(None, description="The same as container.")
    update: str | None = Field(None, description="Command that updates the tools; informational.")
    sso_provider: AnyFlag | None = Field(None, alias="ssoProvider", description="It signs people in.")
    lite_sandbox: bool | None = Field(None, alias="lite-sandbox", description="Content with a light sandbox.")
    sandbox: bool | None = Field(None, description="false: needs its image, so a container engine.")
    default_profile: ProfileName | None = Field(None, alias="defaultProfile", description="dev if absent.")
    profiles: dict[ProfileName, Profile] | None = Field(
        None, description="By name: dev, qa, prod, any other, and default, which lies under all."
    )
    _warnings: tuple[Warning_, ...] = PrivateAttr(())

    @property
    def warnings(self) -> tuple[Warning_, ...]:
        """What works, but probably not as the author thinks; in the order of the file."""
        return self._warnings

    def with_warnings(self, warnings: tuple[Warning_, ...]) -> Manifest:
        """A copy that carries these warnings."""
        copy = self.model_copy()
        copy._warnings = warnings
        return copy

    @property
    def profile_names(self) -> tuple[str, ...]:
        """Profiles that may be made active, in the order of the file; ``default`` is none of them."""
        return tuple(name for name in self.profiles or {} if name != "default")


def manifest_schema() -> dict[str, Any]:
    """The JSON Schema of ``manifest.json`` for editors (draft 2020-12)."""
    schema = Manifest.model_json_schema(by_alias=True)
    _refuse_other_names(schema)
    container = {"required": ["container"]}
    return {
        "$schema": SCHEMA_DIALECT,
        **schema,
        "title": "Ploinky agent manifest",
        "anyOf": [container, {"required": ["image"]}],
    }


def _refuse_other_names(schema: object) -> None:
    """Close every map whose keys have a pattern: pydantic leaves other keys open, the reader does not."""
    if isinstance(schema, dict):
        if "patternProperties" in schema:
            schema.setdefault("additionalProperties", False)
        for part in schema.values():
            _refuse_other_names(part)
    elif isinstance(schema, list):
        for part in schema:
            _refuse_other_names(part)
