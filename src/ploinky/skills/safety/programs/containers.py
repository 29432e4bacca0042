"""Containers: they ask; the host's rights, the host's folders and what is fetched into them are refused."""

from __future__ import annotations

import re

from ploinky.skills.safety.invocation import Invocation, Result
from ploinky.skills.safety.places import HOME, Zone
from ploinky.skills.safety.programs.effects import judge_texts
from ploinky.skills.safety.programs.projects import brings, judge_inside, reads_the_network
from ploinky.skills.safety.values import Stream, Taint, Value

_PRIVILEGED = re.compile(
    r"--privileged|--cap-add\b|--pid[= ]host|--network[= ]host|--net[= ]host|--ipc[= ]host|--userns[= ]host"
    r"|--uts[= ]host|--device\b"
    r"|seccomp[=:]unconfined|apparmor[=:]unconfined|label[=:]disable|docker\.sock|podman\.sock"
    r"|containerd\.sock|--cgroupns[= ]host"
)
_MOUNT = re.compile(r"(?:.*,)?(?:source|src)=([^,]+)|([^:,]+):")
_SYSTEM_WIDE = re.compile(
    r"\b(?:system|volume|container|image|builder|network) prune\b|\b(?:rm|rmi|kill|stop)\b[^|]* \x00"
    r"|\brmi -f|swarm|\bdown\b.*(?:-v\b|--volumes)"
)
_LOOKS = frozenset({"ps", "images", "version", "--version", "-v", "info", "inspect", "logs",
                    "top", "stats", "port", "history", "ls", "config", "--help", "help"})  # fmt: skip


def container(call: Invocation) -> Result:
    """``docker``, ``podman``, ``docker-compose``, ``nerdctl``."""
    texts = call.texts
    whole = " ".join(texts)
    verb = next((each for each in texts if not each.startswith("-")), texts[0] if texts else "")
    if _PRIVILEGED.search(whole):
        call.report("privilege", "a container with the host's rights")
    if re.search(r"(?:^| )(?:-H|--host)[= ]?(?:tcp|ssh|http)", whole):
        call.report("hijack", "another machine's containers")
    if verb in ("unshare", "mount"):
        call.report("privilege", f"{call.program} {verb}")
    if _SYSTEM_WIDE.search(whole):
        call.report("destruction", "removes what others have")
    _container_places(call, verb, whole)
    if verb == "exec" or (verb == "run" and call.stdin is not None and Taint.REMOTE in call.stdin.taints):
        call.report(
            "remote-exec" if call.stdin is not None and Taint.REMOTE in call.stdin.taints else "container"
        )
    if verb not in _LOOKS or not texts:
        call.report("container")
        reads_the_network(call)
    for each in call.args:
        if each.taints & {Taint.SECRET}:
            call.report("exfiltration")
    tells = verb in ("inspect", "logs", "exec")  # of what others run
    return Result(Stream(frozenset({Taint.LOCAL if tells else Taint.COMPUTED})))


def _container_places(call: Invocation, verb: str, whole: str) -> None:
    """The host's folders that a container sees, and where its image comes from."""
    texts = call.texts
    for flag, value in zip(texts, call.args[1:], strict=False):
        if flag in ("-v", "--volume", "--mount"):
            _check_mount(call, value)
    for each in call.args:
        if re.match(r"(?:-v|--volume=|--mount=)..", each.text):
            _check_mount(call, each.with_text(re.sub(r"^(?:-v|--volume=|--mount=)", "", each.text)))
    fed = call.stdin is not None and Taint.REMOTE in call.stdin.taints
    if verb in ("build", "load", "import", "compose") and (re.search(r"https?://", whole) or fed):
        call.report("package-source", "an image from a plain address")
    if verb == "cp":
        for each in call.args:
            if re.match(r"[/.~]", each.text):
                call.read_file(each)
        if any(re.match(r"[\w.-]+:", each) for each in texts) and ":" not in texts[-1]:
            brings(call, call.args[-1])
    judge_inside(call)
    judge_texts(call)


def _check_mount(call: Invocation, value: Value) -> None:
    match = _MOUNT.match(value.text)
    source = (match.group(1) or match.group(2)) if match else ""
    if source == "~" or source.startswith("~/"):
        source = HOME + source[1:]
    if not source.startswith(("/", ".", "~", "\0")):
        return
    place = call.place(value.with_text(source))
    if place.zone in (Zone.OUTSIDE, Zone.SECRET, Zone.SYSTEM) or source == "/":
        call.report(
            "write-outside" if place.zone is not Zone.SECRET else "read-secret", "mounts a folder of the host"
        )
