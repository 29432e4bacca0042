"""Prose that lures a person or instructs the model.
Signs are about what is asked, not about certain names.
"""

from __future__ import annotations

import re

from ploinky.skills.safety.programs.hosts import look_at
from ploinky.skills.safety.rules import Finding, finding

_URL = re.compile(r"https?://[^\s)>\]\"'`|]+")
_RUN = r"(?:run|execute|launch|open|start|install|paste|copy|extract)"
_SIGNS: tuple[tuple[str, re.Pattern[str], str], ...] = tuple(
    (rule, re.compile(pattern, re.IGNORECASE), why)
    for rule, pattern, why in (
        (
            "lure",
            (r"(?:(?:archive|zip|rar|extract\w*|unpack\w*|unzip\w*|file)[^.\n]{0,40}\b(?:password|passcode"
             r"|pass|pwd|passwort)\b\W{0,6}[:=`\w]"
            r"|\b(?:password|passcode|pass)\b[^.\n]{0,30}\b(?:archive|zip|rar|extract|unpack|unzip)\b)"),
            "an archive with a password",
        ),
        (
            "lure",
            (rf"\b(?:visit|go to|open|navigate|see|from)\b[^\n]{{0,160}}\b{_RUN}\b[^\n]{{0,80}}\b(?:command"
             rf"|script|code|snippet)s?\b"
            r"[^\n]{0,60}\b(?:terminal|console|shell|powershell|cmd)\b"),
            "a page whose commands are to be pasted into a terminal",
        ),
        (
            "lure",
            (r"\bdownload\b[^\n]{0,240}\b(?:run|execute|launch|start|double-?click)\b[^\n]{0,40}"
            r"\b(?:executable|exe|binary|installer|file|program|app|it)\b"),
            "a program to download and run by hand",
        ),
        (
            "prompt-injection",
            (r"\b(?:ignore|disregard|forget|override|bypass)\b[^.\n]{0,30}\b(?:all |any |your |the "
             r"|previous |prior |above |earlier |other )+"
            r"(?:instruction|rule|prompt|guideline|policy|policies|direction|restriction|safety)"),
            "tells the model to ignore its instructions",
        ),
        (
            "prompt-injection",
            (r"\b(?:do not|don't|never|without)\b[^.\n]{0,25}\b(?:tell|telling|inform|informing|mention"
             r"|mentioning|reveal|revealing|show|notify"
            r"|notifying|alert|asking|ask)\b[^.\n]{0,20}\b(?:the )?(?:user|human|owner|operator|person)\b"),
            "tells the model to hide something from its user",
        ),
        (
            "prompt-injection",
            (r"\b(?:fetch|download|read|retrieve|load|check"
             r"|curl)\b[^.\n]{0,60}https?://[^\n]{0,120}\b(?:follow|obey|execute|apply|do what|carry out)\b"
            r"[^.\n]{0,40}\b(?:instruction|command|step|direction|it|them|there)"),
            "tells the model to obey a remote text",
        ),
        (
            "prompt-injection",
            (r"\b(?:send|post|upload|exfiltrate|forward|transmit|report)\b[^.\n]{0,60}\b(?:api.?keys?"
             r"|credentials?|passwords?|tokens?|secrets?"
            r"|private keys?|seed phrase|\.env|environment variables|ssh keys?|conversation|chat history"
            r"|memory\.md)\b[^.\n]{0,60}"
            r"(?:https?://|\bto (?:our|the|this|my) (?:server|endpoint|webhook|api))"),
            "tells the model to send secrets away",
        ),
        (
            "prompt-injection",
            (r"<\s*/?\s*(?:system|important|admin|sys)\s*>|\[/?(?:system|inst)\]|<\|im_(?:start|end)\|>"
            r"|\byou are now (?:in )?(?:dan|developer|god|jailbreak|admin)"),
            "poses as the system's own voice",
        ),
        (
            "agent-instructions",
            (r"\b(?:append|add|write|insert|copy|save|put)\b[^.\n]{0,80}\b(?:to|into"
            r"|in)\b[^.\n]{0,30}\b(?:SOUL|AGENTS|CLAUDE|HEARTBEAT|IDENTITY|GEMINI)\.md\b"),
            "changes what an assistant is told",
        ),
        (
            "odd-prose",
            (r"\b(?:disable|turn off|deactivate)\b[^.\n]{0,40}\b(?:antivirus|defender|firewall|gatekeeper"
            r"|sandbox|selinux|sip\b|approval)"),
            "asks for a protection to be switched off",
        ),
        (
            "odd-prose",
            (r"\b(?:before using|must first|required (?:step|component|driver)"
             r"|prerequisite)\b[^\n]{0,160}\b(?:download|install|run)\b[^\n]{0,120}"
            r"\.(?:zip|exe|dmg|pkg|msi|rar|7z|scr|bat)\b"),
            "a program to fetch before the skill works",
        ),
    )
)  # fmt: skip
_COMMENT = re.compile(r"<!--(.*?)-->", re.DOTALL)


def judge_prose(text: str, line: int = 1) -> list[Finding]:
    """Findings about a Markdown text, code blocks included or not; each with the line it starts in."""
    found = [
        finding(rule, line + text.count("\n", 0, match.start()), match.group(0), why)
        for rule, pattern, why in _SIGNS
        for match in pattern.finditer(text)
    ]
    found += _addresses(text, line)
    for comment in _COMMENT.finditer(text):
        inner = comment.group(1)
        if any(pattern.search(inner) for rule, pattern, _ in _SIGNS if rule != "odd-prose"):
            found.append(finding("hidden-text", line + text.count("\n", 0, comment.start()), inner))
    return found


def _addresses(text: str, line: int) -> list[Finding]:
    found = []
    for match in _URL.finditer(text):
        address = look_at(match.group(0).rstrip(".,;:*"))
        if address.problem in ("lure", "exfiltration") and address.host:
            where = line + text.count("\n", 0, match.start())
            found.append(finding(address.problem, where, match.group(0), address.why))
    return found
