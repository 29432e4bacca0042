"""Containers, clouds, and the tools of assistants that install skills: they ask, their dangerous forms are refused."""

from __future__ import annotations

import re

from ploinky.skills.safety.invocation import EMPTY, Invocation, Result
from ploinky.skills.safety.places import SKILL, Zone
from ploinky.skills.safety.values import Stream, Taint, Value

_PRIVILEGED = re.compile(
    r"--privileged|--cap-add\b|--pid[= ]host|--network[= ]host|--net[= ]host|--ipc[= ]host|--userns[= ]host|--uts[= ]host|--device\b"
    r"|seccomp[=:]unconfined|apparmor[=:]unconfined|label[=:]disable|docker\.sock|podman\.sock|containerd\.sock|--cgroupns[= ]host"
)
_MOUNT = re.compile(r"(?:source|src)=([^,]+)|([^:]+):")
_SYSTEM_WIDE = re.compile(
    r"\b(?:system|volume|container|image|builder) prune\b|\brm -f \x00|\brmi -f|swarm|kill \x00"
)
_LOOKS = frozenset({"ps", "images", "version", "--version", "-v", "info", "inspect", "logs", "top", "stats", "port", "history",
                    "ls", "config", "--help", "help"})  # fmt: skip
_SKILL_TOOLS = frozenset("clawhub clawdhub molthub moltbot openclaw clawdbot skills skillhub add-skill openskills claude codex gemini cursor "
                         "opencode smithery mcp-get".split())  # fmt: skip
_SKIPS = frozenset({"--yes", "-y", "--force", "--no-confirm", "--yolo", "--all", "--auto-approve", "--trust", "--no-verify",
                    "--skip-review", "--non-interactive", "--no-input", "--assume-yes", "--skip-confirmation"})  # fmt: skip
_UNSAFE = re.compile(
    r"--dangerously-\S+|--yolo\b|--full-auto\b|--permission-mode[= ]bypass\S*|--allow-dangerous\S*|--no-sandbox\b|--sandbox[= ]"
    r"(?:danger\S*|none|off)|--approval-mode[= ](?:yolo|full\S*|never)|--ask-for-approval[= ]never|--bypass\S*|--skip-permissions\S*"
)
_SENDING_CLOUD = re.compile(
    r"\b(?:s3|storage|gsutil|blob)\b.*\b(?:cp|sync|mv|upload)\b|\bgist create\b|\bsecret|\bauth token\b|print-access-token"
)
CLOUDS = frozenset(
    "gh glab hub gcloud gsutil bq aws az doctl heroku flyctl fly vercel netlify wrangler railway kubectl helm k3s minikube kind "
    "terraform tofu pulumi ansible ansible-playbook vault op bw wp firebase supabase stripe twilio huggingface-cli hf ollama "
    "tailscale mcporter consul nomad eksctl psql mysql mongosh redis-cli sqlcmd amass nmap telegram-send signal-cli wrangler2 "
    "gog himalaya wacli imsg memo things llm mlx sonos eightctl blogwatcher oracle summarize bird".split()
)


def container(call: Invocation) -> Result:
    """``docker``, ``podman``, ``docker-compose``, ``nerdctl``."""
    texts = call.texts
    whole = " ".join(texts)
    verb = next((each for each in texts if not each.startswith("-")), texts[0] if texts else "")
    if _PRIVILEGED.search(whole):
        call.report("privilege", "a container with the host's rights")
    if _SYSTEM_WIDE.search(whole):
        call.report("destruction", "removes what others have")
    for flag, value in zip(texts, call.args[1:], strict=False):
        if flag in ("-v", "--volume", "--mount"):
            _check_mount(call, value)
    for each in call.args:
        if re.match(r"(?:-v|--volume=|--mount=)..", each.text):
            _check_mount(call, each.with_text(re.sub(r"^(?:-v|--volume=|--mount=)", "", each.text)))
    if re.search(r"https?://", whole) and verb in ("build", "load", "import"):
        call.report("package-source", "an image from a plain address")
    if verb == "exec" or (verb == "run" and call.stdin is not None and Taint.REMOTE in call.stdin.taints):
        call.report(
            "remote-exec" if call.stdin is not None and Taint.REMOTE in call.stdin.taints else "container"
        )
    if verb not in _LOOKS or not texts:
        call.report("container")
    for each in call.args:
        if each.taints & {Taint.SECRET}:
            call.report("exfiltration")
    return Result(Stream(frozenset({Taint.COMPUTED})))


def _check_mount(call: Invocation, value: Value) -> None:
    match = _MOUNT.match(value.text)
    source = (match.group(1) or match.group(2)) if match else ""
    if not source.startswith(("/", ".", "~", "\0")):
        return
    place = call.place(value.with_text(source))
    if place.zone in (Zone.OUTSIDE, Zone.SECRET, Zone.SYSTEM) or source == "/":
        call.report(
            "write-outside" if place.zone is not Zone.SECRET else "read-secret", "mounts a folder of the host"
        )


def skill_tool(call: Invocation) -> Result:
    """Tools that give an assistant skills, plug-ins or servers; ``claude -p`` and its kin run another assistant."""
    texts = call.texts
    if "--" in texts:
        end = texts.index("--")
        call.inner(call.args[end + 1 :])
        texts = texts[:end]
    whole = " ".join(texts)
    words = {each for each in texts if not each.startswith("-")}
    if _UNSAFE.search(whole):
        call.report("skip-confirmation", "an assistant without its questions")
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
    if call.stdin is not None and Taint.REMOTE in call.stdin.taints:
        call.report("remote-exec", "an assistant is fed a text from the network")
    return EMPTY


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
    if args and is_skill_tool(args[0].text):
        name = re.sub(r"@[\w.^~-]+\Z", "", args[0].text)
        return skill_tool(Invocation(args[0].with_text(name), tuple(args[1:]), call.stdin, call.walker))
    return EMPTY


def cloud(call: Invocation) -> Result:
    """Tools that act with somebody's account; what they upload or reveal is refused."""
    whole = " ".join(call.texts)
    if (
        call.texts
        and call.texts[0] in ("--version", "version", "-v", "--help", "help")
        and len(call.texts) == 1
    ):
        return EMPTY
    call.report("account")
    if _SENDING_CLOUD.search(whole):
        reads = [
            call.read_file(each)
            for each in call.args
            if not each.text.startswith("-") and "/" in each.text and ":" not in each.text
        ]
        if any(Taint.SECRET in each.taints for each in reads) or re.search(
            r"auth token|print-access-token|get secret|secrets? (?:get|access)", whole
        ):
            call.report("exfiltration")
    if call.stdin is not None and call.stdin.taints & {Taint.SECRET, Taint.LOCAL}:
        call.report("exfiltration")
    if re.search(r"\bauth token\b|print-access-token|item get|read op://|kv get|secretsmanager get", whole):
        call.report("read-secret")
    return Result(Stream(frozenset({Taint.SECRET if "token" in whole else Taint.REMOTE})))


def build(call: Invocation) -> Result:
    """``make`` and its kin: they run what the project says; in an unpinned clone that is text from the network."""
    facts = call.machine.facts(call.machine.cwd)
    flags = [each for each in call.texts if each.startswith("-")]
    targets = [each for each in call.texts if not each.startswith("-") and "=" not in each]
    if facts is not None and facts.tree and Taint.REMOTE in facts.taints and not facts.pinned:
        call.report("remote-exec", "builds a clone that stands at no fixed commit")
    elif call.stdin is not None or any(
        re.match(r"-f|--file|--eval|-E|-C|--directory|--include", each) for each in flags
    ):
        remote = call.stdin is not None and Taint.REMOTE in call.stdin.taints
        call.report(
            "remote-exec" if remote else "own-code" if call.stdin is None else "piped-code",
            "a makefile from elsewhere",
        )
    elif any(each.startswith("install") for each in targets) or call.program not in (
        "make",
        "gmake",
        "just",
        "task",
    ):
        call.report("own-code", "builds and installs")
    elif call.place(Value(".")).zone is not Zone.SELF:
        call.report("own-code", "builds outside the skill")
    elif call.machine.bundled is not None and not call.machine.bundled & {
        "Makefile",
        "makefile",
        "GNUmakefile",
        "justfile",
    }:
        call.report("missing-file", "the skill has no makefile")
    elif any(f"{SKILL}/{name}" in call.machine.files for name in ("Makefile", "makefile", "GNUmakefile")):
        call.report("own-code", "a makefile that it has just written")
    for each in call.texts:
        if re.match(r"(?:SHELL|CC|CXX|LD|AR|MAKE|PYTHON|NODE|.*FLAGS)=", each):
            call.report("own-code", "names a program that the build starts")
        if "=" in each and re.search(r"\$\(shell|`|\$\$\(", each):
            call.report("inline-code")
    return EMPTY
