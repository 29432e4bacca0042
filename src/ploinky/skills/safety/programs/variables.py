"""Variables that make other programs run, load or trust something; and those that anybody may set."""

from __future__ import annotations

import re

from ploinky.skills.safety.invocation import Invocation
from ploinky.skills.safety.places import HOME, SKILL, TEMP, Zone
from ploinky.skills.safety.programs.projects import is_unchecked
from ploinky.skills.safety.values import HOLE, Taint, Value

_HIJACK = re.compile(
    r"(?:LD_(?:PRELOAD|LIBRARY_PATH|AUDIT)|DYLD_\w+|BASH_ENV|ENV|PROMPT_COMMAND|PS[0-4]|IFS|SHELLOPTS|BASHOPTS|BASH_FUNC.*"
    r"|PYTHON(?:STARTUP|HOME|INSPECT|USERBASE|WARNINGS|BREAKPOINT)|NODE_OPTIONS|NODE_REPL_EXTERNAL_MODULE|PERL5?(?:OPT|DB)"
    r"|RUBYOPT|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|GIT_(?:SSH(?:_COMMAND)?|EXEC_PATH|PROXY_COMMAND|EXTERNAL_DIFF|EDITOR|PAGER"
    r"|ASKPASS|TEMPLATE_DIR|CONFIG\w*)|SSH_ASKPASS|SUDO_ASKPASS|MANPAGER|LESSOPEN|LESSCLOSE"
    r"|GCONV_PATH|GLIBC_TUNABLES|MAKEFLAGS|TAR_OPTIONS|ZDOTDIR|CC|CXX|RUSTC_WRAPPER|DOCKER_HOST|HIST(?:FILE|SIZE|CONTROL|IGNORE)|KUBECONFIG|SSLKEYLOGFILE)\Z"
)
_INDEX = re.compile(
    r"(?:(?:PIP|UV)_(?:INDEX_URL|EXTRA_INDEX_URL|DEFAULT_INDEX|INDEX|FIND_LINKS|TRUSTED_HOST|CONFIG_FILE)|GOPROXY|GONOSUMDB"
    r"|GONOSUMCHECK|GOFLAGS|GOINSECURE|GOSUMDB|GOPRIVATE|npm_config_\w+|NPM_CONFIG_\w+|YARN_\w*REGISTRY\w*|BUN_CONFIG_REGISTRY"
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


_INSTALLS_INTO = re.compile(
    r"(?:GOBIN|GOPATH|CARGO_(?:HOME|INSTALL_ROOT)|PIPX_(?:HOME|BIN_DIR)|PIP_(?:TARGET|PREFIX)|UV_TOOL_(?:BIN_)?DIR|BUN_INSTALL"
    r"|GEM_HOME|DESTDIR)\Z"
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
        call.report("security-off" if Taint.REMOTE in value.taints else "unknown-option", f"sets {name}")
    elif _SEARCH.match(name) and name not in ("GOBIN", "GOPATH"):
        _check_search(call, name, value)
    elif _INSTALLS_INTO.match(name):
        if call.place(value).zone in (Zone.OUTSIDE, Zone.SYSTEM, Zone.SECRET):
            call.report("write-outside", f"installs into another folder by {name}")
    elif name == "HOME" and value.text not in (HOME, SKILL):
        call.report("hijack", "moves the home directory")


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
