"""Variables that make other programs run, load or trust something; and those that anybody may set."""

from __future__ import annotations

import re

from ploinky.skills.safety.invocation import Invocation
from ploinky.skills.safety.places import HOME, SKILL, TEMP, Zone
from ploinky.skills.safety.programs.hosts import HOST_WORDS, look_at
from ploinky.skills.safety.programs.projects import is_unchecked
from ploinky.skills.safety.values import HOLE, Taint, Value

_HIJACK = re.compile(
    r"(?:LD_(?:PRELOAD|LIBRARY_PATH|AUDIT)|DYLD_\w+|BASH_ENV|ENV|PROMPT_COMMAND|PS[0-4]|IFS|SHELLOPTS"
    r"|BASHOPTS|BASH_FUNC.*"
    r"|PYTHON(?:STARTUP|HOME|INSPECT|USERBASE|WARNINGS|BREAKPOINT)|NODE_OPTIONS|NODE_REPL_EXTERNAL_MODULE"
    r"|PERL5?(?:OPT|DB)"
    r"|RUBYOPT|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|GIT_(?:SSH(?:_COMMAND)?|EXEC_PATH|PROXY_COMMAND|EXTERNAL_DIFF"
    r"|EDITOR|PAGER|ASKPASS|TEMPLATE_DIR|CONFIG\w*)|SSH_ASKPASS|SUDO_ASKPASS|MANPAGER|LESSOPEN|LESSCLOSE"
    r"|GCONV_PATH|GLIBC_TUNABLES|MAKEFLAGS|TAR_OPTIONS|ZDOTDIR|CC|CXX|RUSTC_WRAPPER|DOCKER_HOST|HIST(?:FILE"
    r"|SIZE|CONTROL|IGNORE)|KUBECONFIG|SSLKEYLOGFILE)\Z"
)
_INDEX = re.compile(
    r"(?:(?:PIP|UV)_(?:INDEX_URL|EXTRA_INDEX_URL|DEFAULT_INDEX|INDEX|FIND_LINKS|TRUSTED_HOST|CONFIG_FILE)"
    r"|GOPROXY|GONOSUMDB"
    r"|GONOSUMCHECK|GOFLAGS|GOINSECURE|GOSUMDB|GOPRIVATE|npm_config_\w+|NPM_CONFIG_\w+|YARN_\w*REGISTRY\w*"
    r"|BUN_CONFIG_REGISTRY"
    r"|CARGO_REGISTR\w+|GEM_SOURCE|HOMEBREW_\w*(?:REMOTE|DOMAIN|BOTTLE)\w*|CONDA_CHANNELS|NIX_PATH)\Z"
)
_EDITORS = re.compile(r"(?:vi|vim|nvim|nano|emacs|code|hx|micro|less|more|cat)(?: --?\w+)?\Z")
_PROXY = re.compile(r"(?:https?|all|no|ftp)_proxy\Z", re.IGNORECASE)
_UNTRUST = {
    "NODE_TLS_REJECT_UNAUTHORIZED": "0",
    "PYTHONHTTPSVERIFY": "0",
    "GIT_SSL_NO_VERIFY": "",
    "CURL_INSECURE": "",
    "SSL_NO_VERIFY": "",
    "GIT_ALLOW_PROTOCOL": "",
    "PIP_NO_VERIFY": "",
    "CLAUDE_DANGEROUS": "",
}
_TRUST_FILES = re.compile(
    r"(?:SSL_CERT_(?:FILE|DIR)|CURL_CA_BUNDLE|REQUESTS_CA_BUNDLE|NODE_EXTRA_CA_CERTS|GIT_SSL_CAINFO)\Z"
)
_SEARCH = re.compile(
    r"(?:PATH|PYTHONPATH|NODE_PATH|PERL5LIB|RUBYLIB|CLASSPATH|GOPATH|GOBIN|CDPATH|MANPATH)\Z"
)


_KEYED = (
    "OPENAI|ANTHROPIC|CLAUDE|GEMINI|GOOGLE|MISTRAL|GROQ|COHERE|OPENROUTER|DEEPSEEK|XAI|PERPLEXITY|TOGETHER"
    "|FIREWORKS|HF"
    "|HUGGINGFACE|REPLICATE|AZURE|AWS|GCP|CLOUDSDK|GITHUB|GH|GITLAB|BITBUCKET|SLACK|DISCORD|TELEGRAM|STRIPE"
    "|TWILIO|NOTION|LINEAR|VAULT|NPM|SENTRY|DATADOG|DD|LITELLM|CODEX|CURSOR|COPILOT"
)
_KEYED_HOST = re.compile(
    rf"(?P<owner>{_KEYED})_(?:\w+_)?(?:BASE(?:_URL)?|BASE_PATH|API_BASE|API_(?:URL|HOST|ENDPOINT)"
    rf"|ENDPOINT(?:_URL)?(?:_\w+)?"
    r"|PROXY(?:_URL)?|HOST|ADDR|SERVER|GATEWAY\w*|METADATA\w*|AUTHORITY_HOST)\Z"
)
_TOOLS = re.compile(  # variables of programs that a system has: each may change what they do
    r"(?:LD|DYLD|BASH|PYTHON|PIP|UV|POETRY|CONDA|MAMBA|PIPX|VIRTUALENV|NODE|NPM|YARN|PNPM|BUN|DENO|PERL5?"
    r"|RUBY|GEM|BUNDLE"
    r"|CARGO|RUST(?:C|UP|DOC)?|JAVA|JDK|_JAVA|MAVEN|MVN|GRADLE|ANT|SBT|DOTNET|CORECLR|COREHOST|MONO|GIT|SSH"
    r"|SSL|OPENSSL"
    r"|CURL|WGET|GNUTLS|TLS|DOCKER|BUILDKIT|COMPOSE|PODMAN|CONTAINER|CONTAINERS|BUILDAH|REGISTRY|KUBE"
    r"|KUBECTL|HELM|TF"
    r"|TERRAFORM|ANSIBLE|VAGRANT|LESS|MAN|GROFF|TERMINFO|NLS|LOC|GCONV|GLIBC|MALLOC|GTK|QT|DBUS|XDG"
    r"|XAUTHORITY|ELECTRON"
    r"|CHROME|CHROMIUM|PUPPETEER|PLAYWRIGHT|LUA|PHP|R|JULIA|OCTAVE|GHC|STACK|CABAL|ERL|ELIXIR|MIX|HEX|MYSQL"
    r"|PG|PSQL|SUDO"
    r"|DOAS|TAR|GZIP|XZ|ZIP|UNZIP|RSYNC|MAKE|CMAKE|CC|CXX|CPP|LD|AR|AS|PKG_CONFIG|ACLOCAL|AUTOMAKE|LIBTOOL"
    r"|GDB|VALGRIND"
    r"|EMACS|VIM|NVIM|TMUX|SCREEN|ZSH|FISH|ENV|HOMEBREW|NIX|GPG|GNUPG|TOR|HTTP|HTTPS|RES|LOCALDOMAIN"
    r"|HOSTALIASES|INPUTRC"
    r"|PROMPT|FCEDIT|FPATH|CDPATH|MAIL\w*|OPENCLAW|CLAWDBOT|MOLTBOT|PLOINKY)(?:_\w+|RC|OPTS|OPTIONS|FLAGS"
    r"|PATH|LIB|DIR)\Z"
)
_QUIET = re.compile(  # what of those tells nothing but how loud, where or as whom
    r"(?:\w+_)?(?:KEY|API_KEY\w*|TOKEN|SECRET\w*|PASSWORD|PASSWD|ID|PROFILE|REGION|DEFAULT_REGION|MODEL"
    r"|ORG\w*|PROJECT\w*"
    r"|WORKSPACE\w*|ACCOUNT\w*|USER\w*|EMAIL|NAME|DEBUG|VERBOSE|QUIET|LOG_LEVEL|COLOR|NO_COLOR|TELEMETRY\w*"
    r"|ENV|LANG"
    r"|TIMEOUT|RETRIES|UNBUFFERED|DONTWRITEBYTECODE|IOENCODING|UTF8|NO_UPDATE_NOTIFIER|NO_AUTO_UPDATE"
    r"|NO_ANALYTICS"
    r"|DISABLE_PIP_VERSION_CHECK|NO_INPUT|NO_CACHE_DIR|PROGRESS\w*|TERMINAL_PROMPT|AUTHOR_NAME|AUTHOR_EMAIL"
    r"|COMMITTER_NAME"
    r"|COMMITTER_EMAIL|RUNTIME_DIR|CONFIG_HOME|DATA_HOME|CACHE_HOME|STATE_HOME|BROWSERS_PATH|VERSION)\Z"
    r"|PYTHON(?:UNBUFFERED|DONTWRITEBYTECODE|IOENCODING|UTF8|HASHSEED|FAULTHANDLER)\Z|NODE_ENV\Z"
    r"|GIT_TERMINAL_PROMPT\Z"
    r"|CMAKE_BUILD_TYPE\Z|RUST_(?:LOG|BACKTRACE)\Z|JAVA_HOME\Z|CARGO_TERM_COLOR\Z|HF_HOME\Z"
)
_RULES = re.compile(  # what of those makes a program run, load or trust something else
    r".*(?:COMMAND|CMD|SHELL|PAGER|EDITOR|ASKPASS|OPTS|OPTIONS|FLAGS|ARGS|PRELOAD|LIBRARY\w*|LIB|WRAPPER"
    r"|LOADER|AGENT|PLUGIN\w*"
    r"|MODULE\w*|INIT\w*|STARTUP|HOOK\w*|PROXY|MIRROR|REGISTRY|INDEX\w*|RC|HOME|PROMPT\w*|EXECUTABLE\w*"
    r"|LAUNCHER|RUNNER|BIN|PATH|TEMPLATE\w*|CERT\w*|CA\w*|INSECURE|VERIFY\w*|NO_VERIFY|TRUST\w*|CONFIG\w*)\Z"
)
_INSTALLS_INTO = re.compile(
    r"(?:GOBIN|GOPATH|CARGO_(?:HOME|INSTALL_ROOT)|PIPX_(?:HOME|BIN_DIR)|PIP_(?:TARGET|PREFIX)"
    r"|UV_TOOL_(?:BIN_)?DIR|BUN_INSTALL|GEM_HOME|DESTDIR)\Z"
)


def check_assign(call: Invocation, name: str, value: Value) -> None:
    """Judge one assignment, exported or not."""
    if name in ("EDITOR", "VISUAL", "PAGER", "BROWSER"):
        if not _EDITORS.match(value.text):
            call.report("hijack", f"sets {name}")
    elif _HIJACK.match(name):
        call.report("hijack", f"sets {name}")
    elif _INDEX.match(name) or (_PROXY.match(name) and value.text not in ("", "localhost,127.0.0.1")):
        call.report("package-source" if _INDEX.match(name) else "hijack", f"sets {name}")
    elif name in _UNTRUST:
        call.report("security-off", f"sets {name}")
    elif _TRUST_FILES.match(name):
        more = (
            name != "NODE_EXTRA_CA_CERTS" and call.place(value).zone is not Zone.SYSTEM
        )  # not only one more
        call.report(
            "security-off" if more or Taint.REMOTE in value.taints else "unknown-option", f"sets {name}"
        )
    elif _SEARCH.match(name) and name not in ("GOBIN", "GOPATH"):
        _check_search(call, name, value)
    elif _INSTALLS_INTO.match(name):
        if call.place(value).zone in (Zone.OUTSIDE, Zone.SYSTEM, Zone.SECRET):
            call.report("write-outside", f"installs into another folder by {name}")
    elif name == "HOME" and value.text not in (HOME, SKILL):
        call.report("hijack", "moves the home directory")
    else:
        _check_tools(call, name, value)


def _check_tools(call: Invocation, name: str, value: Value) -> None:
    """A variable of a known program or service; any other name is the skill's own."""
    keyed = _KEYED_HOST.match(name)
    if keyed and value.text not in ("", HOLE):
        address = look_at(value.text)
        owner = keyed.group("owner").lower()
        if address.local:
            call.report("network", f"sets {name}")
        elif HOST_WORDS.get(owner, owner) not in address.host:
            call.report("hijack", f"{name} sends what is meant for {owner} to {address.host}")
    elif _TOOLS.match(name) and not _QUIET.match(name):
        call.report("hijack" if _RULES.match(name) else "unknown-option", f"sets {name}")


def _check_search(call: Invocation, name: str, value: Value) -> None:
    for entry in value.text.split(":"):
        if entry == HOLE and Taint.UNSET in value.taints:
            continue
        if entry == HOLE and Taint.COMPUTED in value.taints and value.text != HOLE:
            continue
        place = call.place(Value(entry or "."))
        if is_unchecked(call.machine.facts(place.path)):
            call.report("hijack", f"looks into what came from the network in {name}")
            continue
        zone = Zone.TEMP if place.path == TEMP else place.zone
        known = zone in (Zone.SELF, Zone.SYSTEM, Zone.OWN_HOME) or entry.startswith(
            (f"{HOME}/", "/opt/", "/usr/", "/sbin")
        )
        if not known:
            call.report(
                "hijack" if zone is Zone.TEMP else "unknown-path", f"looks for programs or modules in {name}"
            )
