"""Secrets in text become tags before anything is written to the outbox, because git never forgets.

Each kind is known by its public prefix or form; the same secret gives the same tag, so that two mentions can still be
compared. A secret without a known form is not found: the README says so.
"""

from __future__ import annotations

import hashlib
import re

_KINDS = {
    "private-key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    "anthropic": r"sk-ant-[A-Za-z0-9_-]{8,}",
    "openai": r"(?<![A-Za-z0-9])sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,}",
    "github": r"gh[pousr]_[A-Za-z0-9]{20,}",
    "github-fine": r"github_pat_[A-Za-z0-9_]{20,}",
    "gitlab": r"glpat-[A-Za-z0-9_-]{16,}",
    "aws": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    "slack": r"xox[abeprs]-[A-Za-z0-9-]{10,}",
    "tailscale": r"tskey-[A-Za-z0-9-]{10,}",
    "google": r"\bAIza[A-Za-z0-9_-]{30,}",
    "npm": r"\bnpm_[A-Za-z0-9]{30,}",
    "jwt": r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}",
    "url-password": r"(?<=://)[^\s/:@]{1,200}:[^\s/@]{1,200}(?=@)",
    "assigned": r"\b(?i:password|passwd|secret|api_?key|access_?token|auth_?token)\s*[=:]\s*['\"]?[^\s&'\"\[]{8,}",
}
_PATTERN = re.compile("|".join(f"(?P<{kind.replace('-', '_')}>{form})" for kind, form in _KINDS.items()), re.DOTALL)

# Forms that are nothing but a secret, and the bytes without which none of them can be there.
_TOKENS = {kind: form for kind, form in _KINDS.items() if kind not in ("url-password", "assigned")}
_TOKEN_BYTES = {kind: re.compile(form.encode("ascii"), re.DOTALL) for kind, form in _TOKENS.items()}
_MARKS = {
    "private-key": (b"PRIVATE KEY-----",),
    "anthropic": (b"sk-ant-",),
    "openai": (b"sk-",),
    "github": (b"ghp_", b"gho_", b"ghu_", b"ghs_", b"ghr_"),
    "github-fine": (b"github_pat_",),
    "gitlab": (b"glpat-",),
    "aws": (b"AKIA", b"ASIA"),
    "slack": (b"xox",),
    "tailscale": (b"tskey-",),
    "google": (b"AIza",),
    "npm": (b"npm_",),
    "jwt": (b"eyJ",),
}


# The two remaining forms, by what has to stand in a line that could hold them.
_WORDS = (
    b"password",
    b"passwd",
    b"secret",
    b"apikey",
    b"api_key",
    b"accesstoken",
    b"access_token",
    b"authtoken",
    b"auth_token",
)
_PLAIN_MARKS = tuple(mark for marks in _MARKS.values() for mark in marks)


def suspicious(data: bytes) -> bool:
    """False when no secret that `redact` knows can be in these bytes: a quick look before a slow one."""
    if any(mark in data for mark in _PLAIN_MARKS) or (b"://" in data and b"@" in data):
        return True
    lowered = data.lower()
    return any(word in lowered for word in _WORDS)


def first_token(content: bytes) -> str | None:
    """The kind of the first private key or token in the bytes of a file, None when there is none."""
    for kind, marks in _MARKS.items():
        if any(mark in content for mark in marks) and _TOKEN_BYTES[kind].search(content):
            return kind
    return None


def redact(text: str) -> str:
    """`text` with `[REDACTED-kind-hash6]` in place of each secret."""
    return _PATTERN.sub(_tag, text)


def _tag(match: re.Match[str]) -> str:
    kind = (match.lastgroup or "secret").replace("_", "-")
    digest = hashlib.sha256(match.group().encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return f"[REDACTED-{kind}-{digest}]"
