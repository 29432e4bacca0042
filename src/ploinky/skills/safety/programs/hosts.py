"""What an address says about itself:
raw IPs, paste sites, places that only collect, and the well-known forges.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from ploinky.base.addresses import IPAddress, find_ip, why_not_public
from ploinky.skills.safety.values import HOLE

_PASTES = re.compile(
    r"(?:^|\.)(?:pastebin\.\w+|paste\.\w+|glot\.io|rentry\.\w+|hastebin\.\w+|ghostbin\.\w+|dpaste\.\w+"
    r"|ix\.io|0x0\.st|sprunge\.us"
    r"|termbin\.com|controlc\.com|justpaste\.it|p\.ip\.fi|pastes\.\w+|paste\w*\.\w+|privatebin\.\w+"
    r"|codepad\.\w+|bpa\.st|clbin\.com"
    r"|transfer\.sh|file\.io|anonfiles\.com|gofile\.io|catbox\.moe|temp\.sh|bashupload\.com|oshi\.at"
    r"|tmpfiles\.org|filebin\.net|ufile\.io|mediafire\.com|telegra\.ph)\Z"
)
_COLLECTORS = re.compile(
    r"(?:^|\.)(?:webhook\.site|requestbin\.\w+|pipedream\.net|beeceptor\.com|hookbin\.com"
    r"|requestcatcher\.com|ngrok(?:-free)?\.\w+"
    r"|ngrok\.io|burpcollaborator\.net|oastify\.com|oast\.\w+|interact\.sh|interactsh\.com|canarytokens\.\w+"
    r"|dnslog\.\w+|ceye\.io"
    r"|trycloudflare\.com|serveo\.net|localhost\.run|loca\.lt|requestrepo\.com|mockbin\.\w+)\Z"
)
_FORGES = frozenset(
    "github.com gitlab.com bitbucket.org codeberg.org golang.org go.dev google.golang.org gopkg.in sr.ht "
    "git.sr.ht k8s.io sigs.k8s.io mvdan.cc honnef.co cuelang.org go.uber.org raw.githubusercontent.com "
    "gitee.com".split()
)
_SHORTENERS = re.compile(
    r"(?:^|\.)(?:bit\.ly|tinyurl\.com|t\.co|goo\.gl|is\.gd|cutt\.ly|rb\.gy|shorturl\.at|ow\.ly|tiny\.cc"
    r"|v\.gd)\Z"
)

HOST_WORDS = {  # what the host of a service is called, where its variables say it otherwise
    "gh": "github",
    "hf": "huggingface",
    "aws": "amazonaws",
    "gcp": "google",
    "cloudsdk": "google",
    "codex": "openai",
    "dd": "datadog",
    "xai": "x.ai",
    "copilot": "github",
    "gemini": "google",
    "claude": "anthropic",
}


@dataclass(frozen=True)
class Address:
    """A web address, looked at. ``problem`` is a rule's id, with why; both empty if there is none."""

    scheme: str
    host: str
    problem: str = ""
    why: str = ""
    local: bool = False


def is_forge(host: str) -> bool:
    """Whether code is hosted there by everybody."""
    return host in _FORGES


def parts_of(text: str) -> SplitResult:
    """An address taken apart; empty parts if nobody can."""
    try:
        return urlsplit(text)
    except ValueError:
        return SplitResult("", "", "", "", "")


def look_at(text: str) -> Address:
    """Look at an address as curl would read it: without a scheme it is http."""
    text = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(text.replace(HOLE, "x"))
        host = (parts.hostname or "").lower().rstrip(".")
    except ValueError:
        return Address("", "", "unknown-option", "an address that cannot be read")
    if parts.scheme not in ("http", "https", "ftp", "ftps", "git", "ssh"):
        rule = "outside-read" if parts.scheme == "file" else "reverse-shell"
        return Address(parts.scheme, host, rule, f"the scheme {parts.scheme!r}")
    number = _number(host)
    if number is not None:
        reason = why_not_public(number)
        if number.is_loopback:
            return Address(parts.scheme, host, local=True)
        if number.is_link_local or (reason and "metadata" in reason):
            return Address(parts.scheme, host, "read-secret", "a cloud's metadata service")
        return Address(parts.scheme, host, "lure", "a raw address instead of a name")
    if host.startswith("metadata.") and ("google" in host or host.count(".") == 1):
        return Address(parts.scheme, host, "read-secret", "a cloud's metadata service")
    for pattern, rule, why in (
        (_PASTES, "lure", "a paste or drop site"),
        (_COLLECTORS, "exfiltration", "a host that collects what is sent"),
        (_SHORTENERS, "lure", "a shortened address hides where it leads"),
    ):
        if pattern.search(host):
            return Address(parts.scheme, host, rule, why)
    if host.endswith(".onion") or not host.isascii() or "xn--" in host:
        return Address(parts.scheme, host, "lure", "a name that hides who it is")
    if (host == "discord.com" and "/api/webhooks" in parts.path) or host == "api.telegram.org":
        return Address(parts.scheme, host, "", "", local=False)
    return Address(parts.scheme, host, local=host == "localhost" or host.endswith((".localhost", ".local")))


def _number(host: str) -> IPAddress | None:
    found = find_ip(host)
    if found is not None:
        return found
    match = re.fullmatch(r"(0x[0-9a-f]+|\d{8,10})", host)
    if match:
        return find_ip(".".join(str(int(host, 0) >> shift & 255) for shift in (24, 16, 8, 0)))
    if re.fullmatch(r"(?:0x[0-9a-f]+|\d+)(?:\.(?:0x[0-9a-f]+|\d+)){1,3}", host):
        return find_ip("8.8.8.8")  # octal, hexadecimal or short: a raw address in disguise
    return None
