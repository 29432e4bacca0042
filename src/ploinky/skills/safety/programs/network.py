"""curl and wget, and everything else that talks to a host: what comes in is tainted, what goes out is judged.

A download into a file waits for its digest until the end of the text; a look that keeps nothing is allowed.
"""

from __future__ import annotations

import posixpath
import re

from ploinky.skills.safety.invocation import EMPTY, Invocation, Result
from ploinky.skills.safety.machine import SECRET_NAME, FileFacts
from ploinky.skills.safety.places import HOME, Zone
from ploinky.skills.safety.programs.hosts import HOST_WORDS, look_at, parts_of
from ploinky.skills.safety.programs.options import Operands, Read, read_options, shape
from ploinky.skills.safety.programs.projects import is_unchecked, reads_the_network
from ploinky.skills.safety.values import HOLE, Stream, Taint, Value

REMOTE = frozenset({Taint.REMOTE})
_CURL = shape(
    "fsSLOJgiIvkaGR#46jZnp0",
    "fail silent show-error location remote-name remote-header-name globoff include head verbose insecure "
    "append get remote-time progress-bar compressed create-dirs tlsv1.2 tlsv1.3 ssl-reqd http1.1 http2 "
    "no-progress-meter fail-with-body no-buffer retry-all-errors remote-name-all parallel proto-redir "
    "location-trusted",
    Operands.TEXT,
    text="d data data-raw data-binary data-ascii data-urlencode json F form form-string H header u user X "
         "request A user-agent b cookie e referer w write-out m max-time connect-timeout retry retry-delay "
         "retry-max-time r range C continue-at x proxy K config T upload-file url proto proto-default "
         "resolve connect-to interface oauth2-bearer limit-rate max-redirs cacert cert E key capath "
         "unix-socket abstract-unix-socket dns-servers doh-url z time-cond Q quote t telnet-option "
         "max-filesize proxy-user U socks5 socks5-hostname preproxy aws-sigv4 netrc-file y speed-time Y "
         "speed-limit P ftp-port rate",
    write="o output c cookie-jar D dump-header trace trace-ascii stderr output-dir",
)  # fmt: skip
_WGET = shape(
    "qvncSdbNrpEkLHmx46",
    "quiet verbose no-verbose continue timestamping show-progress no-clobber spider https-only recursive "
    "no-parent content-disposition force-directories no-check-certificate trust-server-names background "
    "mirror",
    Operands.TEXT,
    text="t T tries timeout U user-agent header post-data post-file body-data body-file method user "
         "password e execute i input-file referer limit-rate waitretry w l level A R accept reject config "
         "use-askpass ca-certificate progress max-redirect secure-protocol Q B base D domains nd cut-dirs",
    write="O output-document P directory-prefix o output-file a append-output save-cookies",
)  # fmt: skip
_SENDS = ("d", "data", "data-raw", "data-binary", "data-ascii", "data-urlencode", "json", "F",
          "form", "form-string", "T", "upload-file", "post-data", "post-file", "body-data",
          "body-file")  # fmt: skip
_FILES_TO_SEND = ("T", "upload-file", "post-file", "body-file")
_PROVIDERS = re.compile(
    r"(OPENAI|ANTHROPIC|AWS|GITHUB|GH|GOOGLE|GEMINI|AZURE|SLACK|STRIPE|HF|HUGGINGFACE|NPM|PYPI|DOCKER|CLAUDE"
    r"|MISTRAL|GROQ|COHERE"
    r"|OPENROUTER|TELEGRAM|DISCORD|NOTION|LINEAR|TWILIO|SENDGRID|CLOUDFLARE|VERCEL|SSH|DATABASE|DB|PG|MYSQL"
    r"|REDIS|MONGO\w*)_"
)


def curl(call: Invocation) -> Result:
    """``curl``."""
    read = read_options(call.args, _CURL)
    if any(is_unchecked(call.machine.facts(call.place(each).path)) for each in read.values("K", "config")):
        call.report("hijack", "options that came from the network")
    _unknown(call, read)
    if read.has("k", "insecure", "proxy-insecure", "doh-insecure"):
        call.report("security-off", "the certificate is not checked")
    if read.has(
        "K", "config", "unix-socket", "abstract-unix-socket", "Q", "quote", "telnet-option", "t", "netrc-file"
    ):
        call.report(
            "privilege" if read.has("unix-socket") else "unknown-option",
            "curl with an option that is not on the list",
        )
    if read.has(
        "x",
        "proxy",
        "socks5",
        "socks5-hostname",
        "preproxy",
        "resolve",
        "connect-to",
        "doh-url",
        "dns-servers",
    ):
        call.report("hijack", "the connection goes somewhere else")
    addresses = [*read.operands, *read.values("url")]
    sends = _check_sent(call, read, addresses)
    for name in ("c", "cookie-jar", "D", "dump-header", "trace", "trace-ascii", "stderr"):
        for value in read.values(name):
            call.write_file(value)
    folder = next(iter(read.values("output-dir")), None)
    outputs = read.values("o", "output")
    named = read.has("O", "remote-name", "remote-name-all")
    targets = [
        each.with_text(re.sub(r"\A\0", f"./{HOLE}", re.sub(r"#\d", HOLE, each.text))) for each in outputs
    ]
    if read.has("J", "remote-header-name"):
        call.report("unknown-path", "the host chooses the file's name")
        targets.append(Value(f"./{HOLE}"))
    if read.has("K", "config") and not addresses:
        for each in outputs:
            call.write_file(each, Stream(REMOTE))
    if named:
        targets += [_remote_name(each) for each in addresses[len(outputs) :]]
    if folder is not None:
        targets = [each.with_text(posixpath.join(folder.text, each.text)) for each in targets]
    return _received(call, addresses, targets, sends=sends, quiet=read.has("I", "head"))


def wget(call: Invocation) -> Result:
    """``wget``."""
    read = read_options(call.args, _WGET)
    _unknown(call, read)
    if read.has("no-check-certificate"):
        call.report("security-off", "the certificate is not checked")
    if read.has("e", "execute", "config", "use-askpass", "i", "input-file", "B", "base"):
        call.report("hijack" if read.has("use-askpass", "e", "execute") else "unknown-option")
    addresses = list(read.operands)
    sends = _check_sent(call, read, addresses)
    outputs = read.values("O", "output-document")
    folder = next(iter(read.values("P", "directory-prefix")), None)
    for name in ("o", "output-file", "a", "append-output", "save-cookies"):
        for value in read.values(name):
            call.write_file(value)
    if outputs and outputs[0].text in ("-", "/dev/stdout"):
        return _received(call, addresses, [], sends=sends)
    if read.has("spider"):
        return _received(call, addresses, [Value("/dev/null")], sends=sends)
    _unnamed(call, read, addresses, folder)
    if read.has("i", "input-file"):
        for each in outputs:
            call.write_file(each, Stream(REMOTE))
    targets = list(outputs) or [_remote_name(each) for each in addresses]
    if folder is not None and not outputs:
        targets = [each.with_text(posixpath.join(folder.text, each.text)) for each in targets]
    return _received(call, addresses, targets, sends=sends)


def _unnamed(call: Invocation, read: Read, addresses: list[Value], folder: Value | None) -> None:
    """What wget brings under names that its line does not tell."""
    if read.has("r", "recursive", "m", "mirror", "p", "x", "force-directories"):
        _mirrored(call, addresses, folder)
    if read.has("i", "input-file", "content-disposition", "trust-server-names"):
        _arrives(call, folder)


def _arrives(call: Invocation, folder: Value | None) -> None:
    """Files of which only the folder is known: the host, or a list, chooses their names."""
    place = call.place(folder or Value("."))
    call.machine.files[f"{place.path}/{HOLE}"] = FileFacts(REMOTE, None, call.walker.line)


def _mirrored(call: Invocation, addresses: list[Value], folder: Value | None) -> None:
    """A whole site, into a folder of its host's name."""
    for each in addresses:
        name = posixpath.join(folder.text if folder else ".", look_at(each.text).host or HOLE)
        place = call.write_file(each.with_text(name), Stream(REMOTE))
        call.machine.files[place.path] = FileFacts(REMOTE, None, call.walker.line, tree=True)


def _unknown(call: Invocation, read: Read) -> None:
    for each in read.unknown[:1]:
        call.report("unknown-option", f"{call.program} with {each.split('=')[0]!r} is not on the list")


def _remote_name(address: Value) -> Value:
    path = parts_of(address.text if "://" in address.text else f"http://{address.text}").path
    unknown = f"./{HOLE}" if HOLE in address.text else "index.html"
    return address.with_text(posixpath.basename(path) or unknown)


def _received(
    call: Invocation, addresses: list[Value], targets: list[Value], *, sends: bool, quiet: bool = False
) -> Result:
    for each in addresses:
        check_address(call, each)
    if not addresses:
        return EMPTY
    source = addresses[0].text
    sinks = [call.place(each).zone is Zone.SINK and each.text != "-" for each in targets]
    for target in targets:
        if target.text in ("-", "/dev/stdout"):
            continue
        call.write_file(target, Stream(REMOTE, None, source))
    if targets and not any(each.text in ("-", "/dev/stdout") for each in targets):
        if not all(sinks) and any(
            look_at(each.text).scheme == "http" and not look_at(each.text).local for each in addresses
        ):
            call.report("download", "without encryption")
        return Result(Stream())
    return Result(Stream(REMOTE, None, "head" if quiet else source))


def check_address(call: Invocation, value: Value) -> None:
    """Judge where a request goes and what its address carries."""
    if value.taints & {Taint.SECRET, Taint.LOCAL}:
        call.report("exfiltration", "the address carries data of this machine")
    elif value.taints & {Taint.REMOTE, Taint.DECODED}:
        call.report(
            "computed-command" if Taint.DECODED in value.taints else "network",
            "an address that came from elsewhere",
        )
    elif value.taints & {Taint.COMPUTED}:
        call.report("unknown-option", "a computed address")
    address = look_at(value.text)
    if address.scheme == "file":
        call.read_file(value.with_text(parts_of(value.text).path))
    if address.problem:
        call.report(address.problem, address.why)
    elif value.text.startswith(HOLE) or HOLE in parts_of(value.text).netloc:
        call.report("network", "a host that is not known")
    elif any(SECRET_NAME.search(name) for name in value.variables):
        call.report("account", "the address carries a key")
    _check_names(call, value, address.host)


def _check_names(call: Invocation, value: Value, host: str) -> None:
    for name in value.variables:
        match = _PROVIDERS.match(name)
        if match is None or not SECRET_NAME.search(name):
            continue
        word = HOST_WORDS.get(match.group(1).lower(), match.group(1).lower())
        if word not in host and host:
            call.report("exfiltration", f"sends {name} to {host}")


def _check_sent(call: Invocation, read: Read, addresses: list[Value]) -> bool:
    """Judge what a request carries; whether it carries anything."""
    host = look_at(addresses[0].text).host if addresses else ""
    carried = [(name, value) for name, value in read.options if name in _SENDS and value is not None]
    for name, value in carried:
        _check_body(call, name, value)
        _check_names(call, value, host)
    for value in read.values(
        "H", "header", "u", "user", "b", "cookie", "oauth2-bearer", "A", "user-agent", "e", "referer"
    ):
        if value.taints & {Taint.SECRET, Taint.LOCAL}:
            call.report("exfiltration")
        _check_names(call, value, host)
        if value.text.startswith("@"):
            call.read_file(value.with_text(value.text[1:]))
    method = next((value.text for value in read.values("X", "request", "method")), "GET")
    acts = bool(carried) or method not in ("GET", "HEAD")
    if acts:
        call.report("send")
    elif read.values("H", "header", "u", "user", "b", "cookie", "oauth2-bearer") and _authorises(read):
        call.report("account")
    return acts


def _authorises(read: Read) -> bool:
    headers = read.values("H", "header")
    return bool(read.values("u", "user", "b", "cookie", "oauth2-bearer")) or any(
        re.match(r"authorization|cookie|x-api|api-?key|x-auth|token", each.text, re.IGNORECASE)
        for each in headers
    )


def _check_body(call: Invocation, name: str, value: Value) -> None:
    taints = value.taints
    match = re.match(r"(?:[^=@<]*=)?[@<]([^;]+)", value.text)
    if name in _FILES_TO_SEND or (match and name not in ("data-raw", "form-string")):
        path = value.with_text(re.sub(r"^~(?=/)", HOME, match.group(1) if match else value.text))
        if path.text in ("-", "/dev/stdin", "."):
            taints |= call.stdin.taints if call.stdin is not None else frozenset()
            if call.stdin is not None and call.stdin.text is None and not taints & {Taint.REMOTE}:
                taints |= {Taint.COMPUTED}
        else:
            taints |= call.read_file(path).taints
    if taints & {Taint.SECRET, Taint.LOCAL}:
        call.report("exfiltration")
    elif taints & {Taint.COMPUTED}:
        call.report("send", "sends what a program writes")


def printed(call: Invocation, stream: Stream) -> None:
    """What came from a host and went nowhere else."""
    if Taint.REMOTE in stream.taints:
        call.report("network")


def raw_connection(call: Invocation) -> Result:
    """``nc`` and its kin: a look whether a port is open asks, everything else is refused."""
    looks = any(re.fullmatch(r"-[a-z]*z[a-z]*", each) for each in call.texts)
    bad = any(re.match(r"-[a-z]*[ecl]|--exec|--sh-exec|--listen", each) for each in call.texts)
    call.report("network" if looks and not bad and call.stdin is None else "reverse-shell")
    return Result(Stream(REMOTE))


def remote_copy(call: Invocation) -> Result:
    """``scp``, ``sftp``, ``ftp``: sending away is refused, fetching asks."""
    reads_the_network(call)
    operands = [each for each in call.args if not each.text.startswith("-")]
    remote = [bool(re.match(r"(?:[\w.-]+@)?[\w.-]+:", each.text)) for each in operands]
    batch = call.stdin is not None or any(re.match(r"-[bSo]|-oProxy", each) for each in call.texts)
    if (remote and remote[-1] and call.program != "sftp") or batch or call.program in ("tftp", "ftp", "lftp"):
        call.report("exfiltration")
    else:
        call.report("account")
        _copied(call, operands, remote)
    return EMPTY


def _copied(call: Invocation, operands: list[Value], remote: list[bool]) -> None:
    """What comes from another machine, under its own name where only a folder is given."""
    target = Value(".") if len(operands) < 2 or remote[-1] else operands[-1]
    folder = target.text in (".", "..") or target.text.endswith("/")
    for each, far in zip(operands, remote, strict=True):
        name = posixpath.basename(each.text.partition(":")[2])
        if far:
            path = target.with_text(posixpath.join(target.text, name)) if folder and name else target
            call.write_file(path, Stream(REMOTE))


def ssh(call: Invocation) -> Result:
    """``ssh``: another machine; tunnels and switched-off checks are refused."""
    reads_the_network(call)
    whole = " ".join(call.texts)
    if re.search(r"(?:^| )-\w*[RDLw]|ProxyCommand|LocalCommand|PermitLocal", whole):
        call.report("reverse-shell", "a tunnel or a command of its own")
    elif re.search(r"StrictHostKeyChecking[ =](?:no|accept)|UserKnownHostsFile", whole):
        call.report("security-off", "the host's key is not checked")
    elif call.stdin is not None:
        call.report("exfiltration")
    else:
        call.report("account")
    for each in call.args:
        if each.taints & {Taint.SECRET, Taint.LOCAL}:
            call.report("exfiltration")
        if re.search(r"\s", each.text) and each.known and not each.text.startswith("-"):
            call.walker.evaluate(each.text, None)  # what the other machine is told to run
    return Result(Stream(REMOTE))


def ssh_key(call: Invocation) -> Result:
    """``ssh-keygen``: a key in the owner's folder is refused, one in the skill's asks."""
    named = [value for flag, value in zip(call.texts, call.args[1:], strict=False) if flag == "-f"]
    looks = any(each in ("-l", "-y", "-B", "-F", "-D", "-H", "-R") for each in call.texts)
    for value in [] if looks else named or [Value("/@home/.ssh/id")]:
        call.write_file(value)
    for value in named if looks else []:
        call.read_file(value)
    call.report("unknown-command", "ssh-keygen is not on the list")
    return EMPTY


def name_lookup(call: Invocation) -> Result:
    """``dig``, ``nslookup``, ``host``, ``ping``: a name that carries data is refused."""
    for each in call.args:
        if each.taints & {Taint.SECRET, Taint.LOCAL, Taint.COMPUTED} or each.variables:
            call.report("exfiltration", "a name that carries data")
    call.report("network")
    return Result(Stream(REMOTE))


def other_fetch(call: Invocation) -> Result:
    """``aria2c``, ``http``, ``lynx`` and their kin: what they bring is tainted, they ask."""
    for each in call.args:
        if "://" in each.text or "." in each.text.partition("/")[0]:
            check_address(call, each)
    for each in call.args:
        sent = re.match(r"[\w.-]*[=:]?[@<](.+)", each.text)
        if sent and "://" not in each.text:
            path = re.sub(r"^~(?=/)", HOME, sent.group(1))
            if call.read_file(each.with_text(path)).taints & {Taint.SECRET, Taint.LOCAL}:
                call.report("exfiltration")
    if any(
        re.match(r"--exec|--on-\w|--netrc-cmd|--downloader|--postprocessor|--external-downloader", each)
        for each in call.texts
    ):
        call.report("inline-code", f"{call.program} that starts a program")
    match = [
        value
        for flag, value in zip(call.args, call.args[1:], strict=False)
        if flag.text in ("-o", "--out", "--output", "-O")
    ]
    for each in match:
        call.write_file(each, Stream(REMOTE))
    saves = call.program in ("aria2c", "axel", "git-lfs", "youtube-dl", "yt-dlp", "fetch", "lwp-download")
    saves = saves or any(re.match(r"-d\Z|--download\Z", each) for each in call.texts)
    if not match and saves:
        for each in call.args:
            if "://" in each.text:
                call.write_file(_remote_name(each), Stream(REMOTE))
    if call.stdin is not None and call.stdin.taints & {Taint.SECRET, Taint.LOCAL}:
        call.report("exfiltration")
    call.report("network")
    return Result(Stream(REMOTE))
