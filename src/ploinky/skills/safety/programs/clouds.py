"""Tools that act with somebody's account: they ask;
what they hand over, reveal, destroy or bring in unseen is refused.

A tool is a name in ``CLOUDS``; what its words mean is a row of ``_WORDS``, whatever the tool.
"""

from __future__ import annotations

import re

from ploinky.skills.safety.invocation import EMPTY, Invocation, Result
from ploinky.skills.safety.machine import FileFacts
from ploinky.skills.safety.places import Zone
from ploinky.skills.safety.programs.effects import judge_texts
from ploinky.skills.safety.programs.keys import asks_for_a_key
from ploinky.skills.safety.programs.projects import brings, judge_inside, reads_the_network
from ploinky.skills.safety.programs.vcs import clone_from
from ploinky.skills.safety.values import Stream, Taint

_SENDING_CLOUD = re.compile(
    r"\b(?:s3|storage|gsutil|blob)\b.*\b(?:cp|sync|mv|upload)\b|\bgist create\b|\bsecret|\bauth token\b"
    r"|print-access-token"
)
_DESTROYS = re.compile(
    r"(?:^|[ :-])(?:delete|destroy|rm|rb|remove|reset|terminate|purge|wipe|nuke)\b.*(?:^| )(?:--(?:all"
    r"|recursive|force|yes|auto-approve|quiet|confirm|purge)\b"
    r"|-(?:auto-approve|r|f|rf|y|q|a)\b)|\b(?:drop|truncate) (?:database|schema|table|keyspace)\b"
    r"|\bflush(?:all|db)\b|dropDatabase",
    re.IGNORECASE,
)
_PROGRAMS = re.compile(
    r"\b(?:from|to)\s+program\b|\bconfig set (?:dir|dbfilename)\b|\bmodule load\b|\brun(?:Program)?\(|\\!"
    r"|xp_cmdshell|into\s+outfile|load_file\s*\(|lo_(?:import|export)",
    re.IGNORECASE,
)
_BRINGS_UP = re.compile(
    r"\b(?:apply|create|replace|install|upgrade|init|run|deploy)\b.*(?:[ =:])(?:https?|git|s3|gs|oci)(?:::"
    r"|://)"
)
_KEYS = re.compile(r"\bauth token\b|item get|read op://|kv get")
_TELLS_KEYS = re.compile(
    r"token|secrets?\b|access-key|keys create|login-profile|credentials? reset|^(?:heroku|vercel|railway|fly"
    r"|flyctl) (?:config|env|variables)\b|credential|kv get"
)
_GIVES_OUT = re.compile(r"auth token|print-access-token|get secret|secrets? (?:get|access)")
_GAINS = re.compile(
    r"\b(?:create|add|apply|patch|replace|edit)\b.*\b(?:cluster-?)?role-?binding"
    r"|--(?:cluster-?)?role[= ](?:cluster-admin|roles/owner)\b"
    r"|\bdebug\b.*\bnodes?/|\bnode-shell\b|--as[= ]system:|-user-to-group\b|\brole assignment create\b"
    r"|:policy/AdministratorAccess\b"
    r"|\b(?:add-iam-policy-binding|set-iam-policy|(?:attach|put)-(?:user|role|group)-policy"
    r"|update-assume-role-policy)\b",
    re.IGNORECASE,
)
_WORDS = (
    (
        re.compile(
            r"--overrides[= ].*(?:hostPID|hostPath|hostNetwork|privileged)|\balter (?:role"
            r"|user) .*\bsuperuser\b",
            re.IGNORECASE,
        ),
        "privilege",
        "gets the rights of the host or of the owner",
    ),
    (_DESTROYS, "destruction", "removes what others have"),
    (_PROGRAMS, "inline-code", "a database that starts programs or writes files"),
    (_KEYS, "read-secret", "asks for a key"),
    (re.compile(r"--privileged\b"), "privilege", "a container with the host's rights"),
)
CLOUDS = frozenset(
    "gh glab hub gcloud gsutil bq aws az doctl heroku flyctl fly vercel netlify wrangler railway kubectl "
    "helm k3s minikube kind doppler infisical chamber terraform tofu pulumi ansible ansible-playbook vault "
    "op bw wp firebase supabase stripe twilio huggingface-cli hf ollama tailscale mcporter consul nomad "
    "eksctl psql mysql mongosh redis-cli sqlcmd amass nmap mongo ansible telegram-send signal-cli wrangler2 "
    "gog himalaya wacli imsg memo things llm mlx sonos eightctl blogwatcher oracle summarize bird".split()
)
_APPLIES = frozenset(
    {"vault", "consul", "nomad", "terraform", "tofu", "pulumi", "ansible", "ansible-playbook"}
)
_DATABASES = frozenset({"psql", "mysql", "mongosh", "mongo", "sqlcmd", "redis-cli"})
_ELSEWHERE = frozenset({"kubectl", "helm", "oc"})  # what they bring up runs in somebody's cluster, which asks


def cloud(call: Invocation) -> Result:
    """A call of such a tool."""
    texts = call.texts
    whole = " ".join(texts)
    if len(texts) == 1 and texts[0] in ("--version", "version", "-v", "--help", "help"):
        return EMPTY
    call.report("account")
    for pattern, rule, why in _WORDS:
        if pattern.search(whole):
            call.report(rule, why)
    if _GAINS.search(" ".join(each for each in texts if not re.search(r"\s", each))):
        call.report("privilege", "gives or takes rights over what others have")
    if asks_for_a_key(call):
        call.report("read-secret", "asks for a key")
    if call.program == "ansible" and {"-b", "--become"} & set(texts) and "localhost" in texts:
        call.report("privilege", "ansible that becomes the owner of the machine")
    reads_the_network(call)
    judge_inside(call)
    judge_texts(call)
    if call.program in _APPLIES and call.stdin is not None and Taint.REMOTE in call.stdin.taints:
        call.report("remote-exec", f"{call.program} does what comes from the network")
    if call.program in _DATABASES and call.stdin is not None and Taint.REMOTE in call.stdin.taints:
        call.report("remote-exec", "a database executes what comes from the network")
    _brought_in(call, whole)
    _handed_over(call, whole)
    secret = _TELLS_KEYS.search(f"{call.program} {whole}")
    return Result(Stream(frozenset({Taint.SECRET if secret else Taint.REMOTE})))


def _brought_in(call: Invocation, whole: str) -> None:
    """Clones, copies from a store, releases, and what an address tells to bring up."""
    if re.search(r"\b(?:repo|project) clone\b", whole) and len(call.args) > 2:
        clone_from(call, call.args[2:])
    if call.program in _ELSEWHERE and re.search(r"(?:^|[ =])(?:http|git|ftp)://", whole):
        call.report("package-source", f"{call.program} brings up what comes without encryption")
    elif re.search(r"\bplugin install\b.*://", whole):
        call.report("package-source", f"{call.program} installs a plug-in from a plain address")
    elif call.program not in _ELSEWHERE and _BRINGS_UP.search(whole):
        call.report("package-source", f"{call.program} brings up what a plain address holds")
    if re.search(r"\b(?:release|run|artifact|repo archive) download\b|\brepo archive\b", whole):
        call.report("download", "files without a digest")
        facts = FileFacts(frozenset({Taint.REMOTE}), None, call.walker.line, tree=True)
        call.machine.files[call.machine.cwd] = facts
    _cloud_copy(call)


def _handed_over(call: Invocation, whole: str) -> None:
    """Keys and what the machine tells, into somebody's account."""
    _cloud_files(call)
    if _SENDING_CLOUD.search(whole):
        reads = [
            call.read_file(each)
            for each in call.args
            if not each.text.startswith("-") and re.match(r"\.\w|[^:]*/[^:]*\Z", each.text)
        ]
        if any(Taint.SECRET in each.taints for each in reads) or _GIVES_OUT.search(whole):
            call.report("exfiltration")
    if call.stdin is not None and call.stdin.taints & {Taint.SECRET, Taint.LOCAL}:
        call.report("exfiltration")


_STORES = re.compile(r"(?:s3|gs|az|oss|cos|b2|r2|hdfs|abfss?|ipfs|kv)://(.*)|[\w.-]+:(/.*)")


def _cloud_copy(call: Invocation) -> None:
    """``... cp FAR HERE``: what comes from a store is as doubtful as any download."""
    operands = [each for each in call.args if not each.text.startswith("-")]
    if len(operands) < 3 or not {"cp", "sync", "mv", "rsync", "get", "download"} & {
        each.text for each in operands[:2]
    }:
        return
    source, target = operands[-2], operands[-1]
    far = _STORES.match(source.text)
    if far is None or _STORES.match(target.text) or target.text == "-":
        return
    name = (far.group(1) or far.group(2) or "").rstrip("/").rpartition("/")[2]
    folder = target.text.endswith("/") or target.text in (".", "..")
    brings(call, target.with_text(f"{target.text.rstrip('/')}/{name}") if folder and name else target)


def _cloud_files(call: Invocation) -> None:
    """What a call names of this machine by itself, not as the value of an option: keys are not for others."""
    pairs = zip(["", *call.texts], call.args, strict=False)
    for before, each in pairs:
        named = re.match(r"[~/.@]", each.text) and not before.startswith("-")
        given = re.match(r"--from-[\w-]+=(?:\w+=)?([~/].*)", each.text)
        path = each.with_text(given.group(1)) if given else each
        if (named or given) and call.place(path).zone is Zone.SECRET:
            call.report("exfiltration", "hands over a key")
