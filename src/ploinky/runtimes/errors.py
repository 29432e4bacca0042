"""The failures of every engine, each with the one code that callers decide by.

A factory takes what happened and to which sandbox and adds what to type next. To add a failure: a code
here, and a row in the contract suite if every engine can meet it.
"""

from __future__ import annotations

from ploinky.base.errors import DeadlineError, NotFoundError, PloinkyError, UsageError

CREATE_FAILED = "CONTAINER_CREATE_FAILED"
START_FAILED = "CONTAINER_START_FAILED"
STOP_FAILED = "CONTAINER_STOP_FAILED"
REMOVE_FAILED = "CONTAINER_REMOVE_FAILED"
SANDBOX_NOT_FOUND = "SANDBOX_NOT_FOUND"
NAME_IN_USE = "NAME_IN_USE"
RUNTIME_UNAVAILABLE = "RUNTIME_UNAVAILABLE"
IMAGE_NOT_FOUND = "IMAGE_NOT_FOUND"
SANDBOX_NEEDS_ENGINE = "SANDBOX_NEEDS_ENGINE"
UNKNOWN_RUNTIME = "UNKNOWN_RUNTIME"
RUNTIME_DEADLINE = "RUNTIME_DEADLINE"


def create_failed(name: str, reason: str, *, hint: str | None = None) -> PloinkyError:
    """The sandbox could not be made; nothing of it is left."""
    return PloinkyError(
        CREATE_FAILED, f"Cannot create {name}: {reason}", hint=hint, details={"sandbox": name}
    )


def start_failed(name: str, reason: str, *, hint: str | None = None) -> PloinkyError:
    """The sandbox was made but its launcher did not come up; nothing of it runs."""
    return PloinkyError(START_FAILED, f"Cannot start {name}: {reason}", hint=hint, details={"sandbox": name})


def stop_failed(name: str, reason: str, *, hint: str | None = None) -> PloinkyError:
    """Something of the sandbox may still run."""
    return PloinkyError(STOP_FAILED, f"Cannot stop {name}: {reason}", hint=hint, details={"sandbox": name})


def remove_failed(name: str, reason: str, *, hint: str | None = None) -> PloinkyError:
    """Something that ``create`` made may still be there; ``remove`` may be called again."""
    return PloinkyError(
        REMOVE_FAILED, f"Cannot remove {name}: {reason}", hint=hint, details={"sandbox": name}
    )


def sandbox_not_found(name: str) -> NotFoundError:
    """No sandbox of this name was created, or it was removed."""
    return NotFoundError(
        SANDBOX_NOT_FOUND,
        f"There is no sandbox {name}.",
        hint="It may have been removed; see: ploinky status",
        details={"sandbox": name},
    )


def name_in_use(name: str) -> PloinkyError:
    """A sandbox of this name exists, in whatever state."""
    return PloinkyError(
        NAME_IN_USE,
        f"There is already a sandbox {name}.",
        hint="Remove it first, or use the one that is there.",
        details={"sandbox": name},
    )


def runtime_unavailable(kind: str, reason: str, *, hint: str | None = None) -> PloinkyError:
    """The engine is missing, does not answer, or may not be used by this user."""
    return PloinkyError(
        RUNTIME_UNAVAILABLE,
        f"The runtime {kind} cannot be used here: {reason}",
        hint=hint or "See what is found and why: ploinky doctor",
        details={"runtime": kind},
    )


def image_not_found(image: str, reason: str) -> NotFoundError:
    """The image is neither here nor can it be pulled."""
    return NotFoundError(
        IMAGE_NOT_FOUND,
        f"Cannot get the image {image}: {reason}",
        hint="Check its name in the manifest's 'container', and that the registry can be reached.",
        details={"image": image},
    )


def sandbox_needs_engine(name: str, what: str) -> PloinkyError:
    """The spec asks for ``what``, which only a container engine can give."""
    return PloinkyError(
        SANDBOX_NEEDS_ENGINE,
        f"{name} needs a container engine: {what}.",
        hint="Install one (Debian, Ubuntu: apt install podman; Fedora: dnf install podman), "
        "then start it with: --runtime podman",
        details={"sandbox": name},
    )


def unknown_runtime(kind: str, known: tuple[str, ...]) -> UsageError:
    """No runtime has this name."""
    return UsageError(
        UNKNOWN_RUNTIME, f"There is no runtime {kind!r}.", hint=f"Use one of: {', '.join(known)}."
    )


def runtime_deadline(what: str, timeout_s: float, *, hint: str | None = None) -> DeadlineError:
    """An engine did not answer in time."""
    return DeadlineError(what, timeout_s, code=RUNTIME_DEADLINE, hint=hint)
