"""What the text of an error frame says, in wordings of many client versions and in ones never seen.

Only texts of error frames may be given here. Nothing compares whole sentences: the client changed "session limit" to
"5-hour limit" between two versions, and will change it again. A limit's name is split into words; what is left when
the known ones are gone is a model. Names of other limits (of a context, a file, a connection) say nothing about usage.
The texts in view are those that clients 2.1.197 and 2.1.328 print, and those in the client's own bundle.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Wording(NamedTuple):
    """What a text names: a Limit's type, or one of "transient", "auth", "request", "notice" (says it is no stop)."""

    type: str
    model: str | None = None
    confidence: float = 0.9


FAMILIES = frozenset({"opus", "sonnet", "haiku", "fable", "mythos"})
_HEAD = 400  # what an error is about stands at its front; behind that servers quote the request

_LIMIT = r"(?:limits?|quota|allowance|allocation|caps?)"
_HIT = r"(?:hit|reached|exceeded|exhausted|maxed out|used up|used (?:up )?all(?: of)?|run out of|ran out of|over|past)"
_NAME = r"(?P<name>[^·.,;:!?()]{0,60}?)"
_REACHED = re.compile(rf"\b{_HIT} (?:your |the |its |our |this )?{_NAME}\s*\b{_LIMIT}\b", re.I)
_SAID = re.compile(
    rf"(?P<name>(?:[\w'.-]+ ){{0,4}}?){_LIMIT}(?: (?:has|have) been| was| is| are)?(?: now)?"
    r" (?:reached|hit|exceeded|exhausted|used up|exceed\b)",
    re.I,
)
_OUT = re.compile(r"\bout of (?P<name>[\w' -]{0,30}?)\s*usage\b|\busage (?:has been |is )?(?:exhausted|used up)", re.I)
_NO_MORE = re.compile(r"\bno (?:more )?(?P<name>[\w' -]{0,20}?)\s*usage (?:left|remaining|available)", re.I)
_ALL_USED = re.compile(rf"\bused (?:100 ?%|all) of (?:your |the )?{_NAME}\s*\b(?:{_LIMIT}|usage)\b", re.I)
_RESETS = re.compile(rf"\b(?:your|the) {_NAME}\s*\b{_LIMIT} (?:will )?(?:resets?|renews?|refresh(?:es)?)\b", re.I)

_NOTICE = re.compile(
    r"^\W*(?:you'?(?:re| are) (?:now using|close to|nearing|approaching)|now using|approaching|you(?:'ve| have) used"
    r" (?!100)\d{1,2}(?:\.\d+)? ?%)",
    re.I,
)
_MODEL_CREDITS = re.compile(r"^\W*(?P<name>[\w .-]{1,40}?) (?:now )?(?:requires|needs) usage credits", re.I)
_CREDITS_NEEDED = re.compile(
    r"\busage credits? (?:is|are) (?:now )?required|\brequir(?:es|ing) usage credits|credits[ _]required", re.I
)
_NOT_USAGE_LIMIT = re.compile(r"\bnot your usage limit|temporarily limiting", re.I)
_RATE = re.compile(r"\brate[- ]?limit|\bper[- ](?:minute|second)\b|too many requests|\bconcurren|\(429\)", re.I)
_LONG_WINDOW = re.compile(r"\b(?:hours?|session|weekly|daily|monthly|spend\w*|usage) (?:usage )?limit\b", re.I)
_CAPPED = re.compile(r"\bspecified (?:\w+ )*usage limits?\b|\bregain access\b", re.I)
_ORGANISATION = re.compile(
    r"\b(?:org|organi[sz]ation|team|group|company|channel)(?:'s)?\b[^·.]{0,40}"
    r"\b(?:out of|limit|cap|budget|used up|quota|allowance)\b"
    r"|\bseat type doesn'?t include|\b(?:disabled|turned off|off) (?:for your org|by your (?:admin|org))",
    re.I,
)
_SPEND = re.compile(
    r"\bspend(?:ing)?[ -](?:limit|cap)\b|\bmonthly limit\W+raise it|\bdaily cap\b"
    r"|\bbudget (?:has been |was |is )?(?:exceeded|exhausted|used up)|\bexceeded (?:your |the )?[\w ]{0,20}budget\b",
    re.I,
)
_CREDITS = re.compile(
    r"\bcredit balance\b|\bout of (?:[\w' ]{1,20} )?(?:credits?|funds|extra usage)\b|\busage credit limit\b"
    r"|\binsufficient[ _](?:credits?|funds|balance|quota)\b|\bno (?:more )?(?:[\w]+ )?credits\b|\bpayment required\b"
    r"|\bcredits? (?:has|have|is|are|was|were)?(?: been)? ?(?:exhausted|used up|depleted)\b",
    re.I,
)
_TRANSIENT = re.compile(
    r"\boverload|at capacity|high demand|server-side issue|internal server error|service unavailable|bad gateway"
    r"|gateway time-?out|connection (?:dropped|error|reset|refused|closed|lost)|unable to connect|timed? ?out\b"
    r"|\bE(?:CONN\w+|NOTFOUND|TIMEDOUT|PIPE|AI_AGAIN|HOSTUNREACH|NETUNREACH)\b|fetch failed|socket hang up"
    r"|network error|stream (?:ended|closed)|would exceed your",
    re.I,
)
_AUTH = re.compile(
    r"not logged in|/login\b|invalid (?:x-)?(?:api[ -]key|bearer|auth)|failed to authenticate|authentication_error"
    r"|disabled organi[sz]ation|organi[sz]ation has been disabled|oauth token|login (?:has )?expired"
    r"|(?:token|api key|credentials?|session token) (?:has |have |is |was )?(?:been )?(?:expired|revoked|invalid|missing)",
    re.I,
)
_REQUEST = re.compile(
    r"prompt is too long|output token maximum|context (?:window|limit|length)|issue with the selected model"
    r"|request (?:entity )?too large|input length|max_tokens",
    re.I,
)

_FILLING_WORDS = """
    your the its our this that current claude ai claude.ai code plan plan's account account's personal subscription pro
    max team's premium maximum included overall total own for of a an you you've have hit reached and now api model
    models usage message messages request requests prompt prompts work all up to standard free new window
"""
_FILLING = frozenset(_FILLING_WORDS.split())
_OTHER_LIMITS = """
    context token tokens output input length size image images file files upload uploads attachment attachments page
    pages turn turns depth nesting recursion memory time timeout retry retries tool tools concurrency concurrent
    subagent subagents agent agents rate rates character characters watch export mb kb gb byte bytes line lines
    iteration iterations thread connection connections budget match stack string number cpu disk process schema
    cache_control payload body header headers column item items search download
"""
_NOT_USAGE = frozenset(_OTHER_LIMITS.split())
_WEEK = frozenset({"weekly", "week", "week's", "7-day", "seven-day", "7d"})
_PERIOD = frozenset({"daily", "day", "day's", "hourly", "monthly", "month", "month's", "yearly", "24-hour", "today's"})
_WHOSE = re.compile(r"\b(?:your|plan|account|subscription|message|request)\b", re.I)
_HOURS = re.compile(r"\b(\d+|one|two|three|four|five|six|eight|ten|twelve)[- ]?(?:h|hr|hour)s?(?:ly)?\b", re.I)


def read(text: str, strong: bool = False) -> Wording | None:
    """What `text` names, or None; `strong` means that the frame's other fields already speak of a limit."""
    head = " ".join(text[: _HEAD * 2].replace("’", "'").split())[:_HEAD]
    head = re.sub(r"^API Error:\s*(?:\d{3}\b)?\W*", "", head, flags=re.I)
    if _NOTICE.search(head):
        return Wording("notice")
    needs = _MODEL_CREDITS.search(head)
    if needs:
        return Wording("credits", _model_name(needs["name"].split()), 0.9)
    if _CREDITS_NEEDED.search(head):
        return Wording("credits", None, 0.8)
    if _NOT_USAGE_LIMIT.search(head) or (_RATE.search(head) and not _LONG_WINDOW.search(head)):
        return Wording("transient")
    if _AUTH.search(head):
        return Wording("auth")
    if _REQUEST.search(head):
        return Wording("request")
    if _CAPPED.search(head):
        return Wording("spend_cap", None, 0.95)
    if _ORGANISATION.search(head):
        return Wording("organisation", None, 0.85)
    if _SPEND.search(head):
        return Wording("spend_cap", None, 0.9)
    if _CREDITS.search(head):
        return Wording("credits", None, 0.9)
    for pattern in (_REACHED, _ALL_USED, _SAID, _OUT, _NO_MORE, _RESETS):
        for found in pattern.finditer(head):
            whose = _WHOSE.search(found[0]) is not None
            named = _named(found.groupdict().get("name") or "", strong, strong or whose)
            if named is not None:
                return named
    return Wording("transient", None, 0.8) if _TRANSIENT.search(head) else None


def _named(name: str, strong: bool, whose: bool) -> Wording | None:
    """A limit's name as a type; None when it is a limit of something else than usage.

    `whose`: the words, or the frame, speak of somebody's limit. "limit reached" alone names nothing.
    """
    hours = _HOURS.search(name)
    words = _HOURS.sub(" ", name).split()
    left = [word for word in words if word.lower() not in _FILLING]
    lowered = {word.lower() for word in left}
    if lowered & _NOT_USAGE:
        return None
    weekly, period = lowered & _WEEK, lowered & _PERIOD
    session = "session" in lowered
    left = [word for word in left if word.lower() not in _WEEK | _PERIOD | {"session", "session's"}]
    if left and all(re.fullmatch(r"[\d.,$%]+\w?", word) for word in left):
        return None  # "the 200000 limit"
    if left:
        return _model(left, strong)
    if hours:
        return Wording("five_hour") if hours[1].lower() in ("5", "five") else Wording("usage", None, 0.8)
    if session:
        return Wording("five_hour")
    if weekly:
        return Wording("seven_day")
    if period or "usage" in name.lower():
        return Wording("usage", None, 0.8)
    return Wording("usage", None, 0.7) if whose else None


def _model(left: list[str], strong: bool) -> Wording | None:
    name = _model_name(left)
    if name is None:
        return Wording("usage", None, 0.6) if strong else None
    if name in FAMILIES:
        return Wording("model_weekly", name, 0.9)
    # An unknown name is a model's when it is written like one, or when nothing else than a limit can be meant.
    if name == "fast":
        return Wording("usage", name, 0.8)  # fast mode has an allowance of its own; normal speed goes on
    if strong or left[0][:1].isupper():
        return Wording("model_weekly", name, 0.7)
    return None


def _model_name(words: list[str]) -> str | None:
    """The family in lower case ("Fable 5" and "Claude Fable" are "fable"); None when no word could be one."""
    lowered = [word.lower().strip("'\"") for word in words if re.fullmatch(r"['\"]?[A-Za-z][\w-]*['\"]?", word)]
    for word in lowered:
        if word in FAMILIES:
            return word
    kept = [word for word in lowered if word not in _FILLING and word != "mode"]
    return kept[0] if kept and len(kept) <= 2 else None
