"""Containers, clouds, and the tools of assistants that install skills: they ask, their dangerous forms are refused."""

from __future__ import annotations

import re

from ploinky.skills.safety.invocation import EMPTY, Invocation, Result
from ploinky.skills.safety.machine import FileFacts
from ploinky.skills.safety.places import HOME, SKILL, Zone
from ploinky.skills.safety.programs.projects import reads_the_network
from ploinky.skills.safety.programs.vcs import clone_from
from ploinky.skills.safety.values import Stream, Taint, Value

_PRIVILEGED = re.compile(
    r"--privileged|--cap-add\b|--pid[= ]host|--network[= ]host|--net[= ]host|--ipc[= ]host|--userns[= ]host|--uts[= ]host|--device\b"
    r"|seccomp[=:]unconfined|apparmor[=:]unconfined|label[=:]disable|docker\.sock|podman\.sock|containerd\.sock|--cgroupns[= ]host"
)
_MOUNT = re.compile(r"(?:.*,)?(?:source|src)=([^,]+)|([^:,]+):")
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
    return Result(Stream(frozenset({Taint.COMPUTED})))


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
    _judge_inside(call)


_INNER_ATTACKS = frozenset({"remote-exec", "piped-code", "reverse-shell", "exfiltration", "persistence"})


def _judge_inside(call: Invocation) -> None:
    """``... sh -c TEXT`` for a container or another machine: its attacks count, its folders are others."""
    for name, flag, text in zip(call.args, call.args[1:], call.args[2:], strict=False):
        if name.text.rpartition("/")[2] in ("sh", "bash", "ash", "zsh", "dash") and re.fullmatch(
            r"-\w*c", flag.text
        ):
            for rule in sorted(call.walker.rules_of(text.text) & _INNER_ATTACKS):
                call.report(rule, "what runs inside")


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
    if re.search(r"\b(?:repo|project) clone\b", whole) and len(call.args) > 2:
        clone_from(call, call.args[2:])
    if re.search(r"\b(?:apply|create|replace|install|upgrade|init|run|deploy)\b", whole) and re.search(
        r"(?:^|[ =:])(?:https?|git|s3|gs|oci)(?:::|://)", whole
    ):
        call.report("package-source", f"{call.program} brings up what a plain address holds")
    reads_the_network(call)
    if re.search(r"\b(?:release|run|artifact|repo archive) download\b|\brepo archive\b", whole):
        call.report("download", "files without a digest")
        facts = FileFacts(frozenset({Taint.REMOTE}), None, call.walker.line, tree=True)
        call.machine.files[call.machine.cwd] = facts
    _judge_inside(call)
    if re.search(
        r"\b(?:from|to)\s+program\b|\\!|xp_cmdshell|into\s+outfile|load_file\s*\(|lo_(?:import|export)",
        whole,
        re.IGNORECASE,
    ):
        call.report("inline-code", "a database that starts programs or writes files")
    if re.search(r"\brepo add \S+ https?://", whole):
        call.report("package-source", "another index")
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
    facts = _build_folder(call) or facts
    if reads_the_network(call, whole_tree=True):
        return EMPTY
    flags = [each for each in call.texts if each.startswith("-")]
    targets = [each for each in call.texts if not each.startswith("-") and "=" not in each]
    if facts is not None and facts.tree and Taint.REMOTE in facts.taints and not facts.pinned:
        call.report("remote-exec", "builds a clone that stands at no fixed commit")
    elif call.stdin is not None or any(
        not re.fullmatch(
            r"-(?:j\d*|[skinBwqv]+)|--(?:silent|quiet|dry-run|always-make|no-print-directory|list|keep-going)",
            each,
        )
        for each in flags
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
    _build_words(call)
    return EMPTY


def _build_folder(call: Invocation) -> FileFacts | None:
    """What is known of the folder that an option names as the project's."""
    facts = None
    for flag, value in zip(call.texts, call.args[1:], strict=False):
        if flag in ("-C", "--directory", "-d", "--working-directory", "-p", "-B", "--build", "--project-dir"):
            place = call.place(value)
            facts = call.machine.facts(place.path) or facts
            if place.zone not in (Zone.SELF, Zone.TEMP, Zone.UNKNOWN):
                call.report("write-outside", "builds in a folder outside")
    return facts


def _build_words(call: Invocation) -> None:
    """Variables and rules on the command line."""
    for each in call.texts:
        if re.match(r"(?:SHELL|MAKESHELL|\.SHELLFLAGS)[?:+]?=|--shell\b", each):
            call.report("hijack", "another program in the place of the shell")
        if re.match(r"(?:CC|CXX|LD|AR|MAKE|PYTHON|NODE|.*FLAGS)=", each):
            call.report("own-code", "names a program that the build starts")
        if re.match(r"-E.|--eval\b", each):
            call.report("inline-code", "rules on the command line")
        if "=" in each and re.search(r"\$\(shell|`|\$\$\(", each):
            call.report("inline-code")
