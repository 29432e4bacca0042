"""Checks of a manifest that span several fields, made on the JSON itself.

They run beside the model, not after it, so that one reading shows every fault; each looks past what has
the wrong shape, because the model names that. Adding a check: a function in ``CHECKS``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial

from ploinky.base.errors import UsageError
from ploinky.base.names import closest
from ploinky.manifest.env import entry_of_item, entry_of_pair
from ploinky.manifest.jsontext import Json, Path
from ploinky.manifest.ports import PortTable, parse_port
from ploinky.manifest.texts import parse_volume
from ploinky.manifest.values import HookName, PortSpec

Object = dict[str, Json]
Problem = tuple[Path, str, str | None]
MISSING_CONTAINER = 'Manifest must specify "container" or "image" field'
OLD_FIELDS = (*(hook.value for hook in HookName), "env", "port", "ports")


def layers(manifest: Object) -> Iterator[tuple[Path, Object]]:
    """The top level and every profile, with their paths."""
    yield (), manifest
    profiles = manifest.get("profiles")
    for name, profile in profiles.items() if isinstance(profiles, dict) else ():
        if isinstance(profile, dict):
            yield ("profiles", name), profile


def find_missing_container(manifest: Object) -> Problem | None:
    """The problem of a manifest that names no image; an empty name counts as none."""
    if manifest.get("container") or manifest.get("image"):
        return None
    hint = 'Add "container": "image:tag" to manifest.json'
    for key in manifest:
        if closest(key, ("container", "image")) and key not in ("container", "image"):
            hint += f" (did you mean that by {key!r}?)"
    return (), MISSING_CONTAINER, hint


def _two_images(manifest: Object) -> Iterator[Problem]:
    container, image = manifest.get("container"), manifest.get("image")
    if container and image and container != image:
        yield ("image",), "'container' and 'image' name different images.", "Keep one of them."


def _env(manifest: Object) -> Iterator[Problem]:
    for path, layer in layers(manifest):
        env = layer.get("env")
        if isinstance(env, list):
            for index, item in enumerate(env):
                yield from _tried((*path, "env", index), partial(entry_of_item, item))
        elif isinstance(env, dict):
            for name, value in env.items():
                yield from _tried((*path, "env", name), partial(entry_of_pair, name, value))


def _ports(manifest: Object) -> Iterator[Problem]:
    for path, layer in layers(manifest):
        table = PortTable()
        for place, entry in (*_listed(layer, "port"), *_listed(layer, "ports")):
            doubled = [port for port in _read_port(entry) if table.add(port) is not None]
            if doubled:
                yield (*path, *place), f"the port {doubled[0]} is given twice.", "Remove one of the two."


def _volumes(manifest: Object) -> Iterator[Problem]:
    for path, layer in layers(manifest):
        volumes = layer.get("volumes")
        targets: set[str] = set()
        for host, target in volumes.items() if isinstance(volumes, dict) else ():
            place = (*path, "volumes", host)
            if not isinstance(target, str):
                continue
            yield from _tried(place, partial(parse_volume, host, target))
            plain = target.removesuffix(":ro").removesuffix(":rw").rstrip("/")
            if plain in targets:
                yield place, "another volume is mounted at the same place.", "Give each its own path."
            targets.add(plain)


def _probes(manifest: Object) -> Iterator[Problem]:
    for path, layer in layers(manifest):
        health = layer.get("health")
        for name, probe in health.items() if isinstance(health, dict) else ():
            if isinstance(probe, dict) and name in ("liveness", "readiness"):
                yield from _probe((*path, "health", name), probe)


def _probe(path: Path, probe: Object) -> Iterator[Problem]:
    kinds = [kind for kind in ("script", "http", "tcp") if probe.get(kind) is not None]
    if len(kinds) > 1:
        yield (*path, kinds[1]), f"a probe has one of {' and '.join(kinds)}.", "Keep one of them."
    if not kinds and not (path[-1] == "readiness" and probe.get("protocol") is not None):
        yield path, "the probe does not say how to ask.", "Add one of 'script', 'http', 'tcp'."
    retries, threshold = probe.get("retries"), probe.get("failureThreshold")
    if retries is not None and threshold is not None and retries != threshold:
        yield (
            (*path, "failureThreshold"),
            "'retries' and 'failureThreshold' mean the same and differ.",
            "Keep one of them.",
        )


def _profiles(manifest: Object) -> Iterator[Problem]:
    profiles = manifest.get("profiles")
    known: Object = profiles if isinstance(profiles, dict) else {}
    for name in known:
        parent = _parent(known, name)
        if parent is not None and parent not in known:
            near = closest(parent, known)
            hint = f"Did you mean {near!r}?" if near else "Add that profile, or remove 'extends'."
            yield ("profiles", name, "extends"), f"there is no profile {parent!r}.", hint
    for circle in _circles(known):
        shown = " → ".join((*circle, circle[0]))
        place = ("profiles", circle[0], "extends")
        yield place, f"profiles extend each other: {shown}.", "Remove one 'extends'."
    if _parent(known, "default") is not None:
        yield ("profiles", "default", "extends"), "'default' lies under all others and extends none.", None
    default = manifest.get("defaultProfile")
    if isinstance(default, str) and profiles is not None and default not in known and "default" not in known:
        near = closest(default, known)
        advice = f"Did you mean {near!r}?" if near else None
        yield ("defaultProfile",), f"there is no profile {default!r}.", advice


def _circles(known: Object) -> Iterator[list[str]]:
    """Each circle of ``extends`` once, beginning with its first profile in the order of the file."""
    done: set[str] = set()
    for name in known:
        steps: list[str] = []
        at: str | None = name
        while at is not None and at not in done and at in known:
            done.add(at)
            steps.append(at)
            at = _parent(known, at)
        if at in steps:
            yield steps[steps.index(at) :]


def _parent(known: Object, name: str) -> str | None:
    profile = known.get(name)
    parent = profile.get("extends") if isinstance(profile, dict) else None
    return parent if isinstance(parent, str) else None


def _mcp(manifest: Object) -> Iterator[Problem]:
    for path, layer in layers(manifest):
        part = layer.get("mcp")
        if not isinstance(part, dict):
            continue
        given = [kind for kind in ("command", "port", "url") if part.get(kind) not in (None, "", [])]
        if len(given) != 1:
            said = "names no server" if not given else f"names more than one server: {', '.join(given)}"
            yield (*path, "mcp"), f"this {said}.", "Give one of 'command', 'port', 'url'."


CHECKS: tuple[Callable[[Object], Iterator[Problem]], ...] = (
    _two_images,
    _env,
    _ports,
    _volumes,
    _probes,
    _mcp,
    _profiles,
)


def old_form(manifest: Object) -> Problem | None:
    """The warning about hooks, env and ports at the top level, with the snippet to write instead."""
    old = [field for field in OLD_FIELDS if manifest.get(field) not in (None, "", [], {})]
    if not old:
        return None
    profiles = manifest.get("profiles")
    default = profiles.get("default") if isinstance(profiles, dict) else None
    merged: Object = dict(default) if isinstance(default, dict) else {}
    for field in old:
        value, present = manifest[field], merged.get(field)
        if isinstance(value, dict) and isinstance(present, dict):
            merged[field] = {**value, **present}
        else:
            merged.setdefault(field, value)
    snippet = json.dumps({"profiles": {"default": merged}}, indent=2, ensure_ascii=False)
    named = ", ".join(repr(field) for field in old)
    return (old[0],), f"{named} at the top level is the old form.", f"Move it into a profile:\n{snippet}"


def doubtful(manifest: Object) -> Iterator[Problem]:
    """What is allowed and has no effect."""
    for path, layer in layers(manifest):
        yield from _double_env((*path, "env"), layer.get("env"))
        health = layer.get("health")
        readiness = health.get("readiness") if isinstance(health, dict) else None
        if isinstance(readiness, dict) and readiness.get("protocol") is not None:
            kinds = [kind for kind in ("script", "http", "tcp") if readiness.get(kind) is not None]
            if kinds:
                place = (*path, "health", "readiness", "protocol")
                yield place, f"this is ignored, because '{kinds[0]}' is given.", "Remove one of the two."


def _double_env(path: Path, env: Json) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, item in enumerate(env) if isinstance(env, list) else ():
        name = item.get("name") if isinstance(item, dict) else item
        if isinstance(name, str):
            name = name.partition("=")[0]
            if name in seen:
                yield (
                    (*path, index),
                    f"{name!r} is given twice; the last one counts.",
                    "Remove one of the two.",
                )
            seen.add(name)


def _listed(layer: Object, field: str) -> Iterator[tuple[Path, Json]]:
    value = layer.get(field)
    if isinstance(value, list):
        yield from (((field, index), item) for index, item in enumerate(value))
    elif value is not None:
        yield (field,), value


def _read_port(entry: Json) -> tuple[PortSpec, ...]:
    try:
        return parse_port(entry) if isinstance(entry, str | int) else ()
    except UsageError:
        return ()


def _tried(path: Path, read: Callable[[], object]) -> Iterator[Problem]:
    try:
        read()
    except UsageError as error:
        yield path, error.message, error.hint
