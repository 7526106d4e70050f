"""JSON without `json`: the C scanner behind it costs a hook nothing to import, the package doubles its run time.

`parse` takes what `json.loads` takes, less NaN and Infinity, and raises ValueError (RecursionError when too deep).
`quote` writes one string as ASCII JSON. The scanner is private to CPython: only this module touches it, and
where it is missing `json` itself does the work.
"""

SPACE = " \t\n\r"


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


try:
    from _json import encode_basestring_ascii as _quote
    from _json import make_scanner

    class _Options:
        """What the scanner reads off a `json.JSONDecoder`."""

        strict = True
        object_hook = None
        object_pairs_hook = None
        parse_float = float
        parse_int = int
        parse_constant = staticmethod(_no_constant)

    _scan = make_scanner(_Options())  # type: ignore[arg-type]
except (ImportError, AttributeError, TypeError):
    from json import JSONDecoder
    from json.encoder import encode_basestring_ascii as _quote

    _scan = JSONDecoder(parse_constant=_no_constant).scan_once  # type: ignore[attr-defined]


def parse(text: str) -> object:
    """The one value in `text`; white space may stand around it, nothing else."""
    value, end = _value(text, _skip(text, 0))
    end = _skip(text, end)
    if end != len(text):
        raise ValueError(f"something follows the JSON value at character {end}")
    return value


def leading_members(text: str) -> dict[str, object]:
    """The members that stand whole at the front of an object whose end is missing."""
    found: dict[str, object] = {}
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise ValueError("not a JSON object")
    try:
        while text[at : at + 1] in ("{", ","):
            name, at = _value(text, _skip(text, at + 1))
            at = _skip(text, at)
            if not isinstance(name, str) or text[at : at + 1] != ":":
                break
            value, at = _value(text, _skip(text, at + 1))
            at = _skip(text, at)
            # a number at the cut may go on behind it
            if at < len(text):
                found[name] = value
    except ValueError:
        pass  # the member that was cut
    return found


def quote(text: str) -> str:
    """`text` as a JSON string in ASCII. A lone surrogate, which no reader takes, becomes a question mark."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return _quote(text)


def _value(text: str, at: int) -> tuple[object, int]:
    try:
        return _scan(text, at)
    except StopIteration as stop:
        raise ValueError(f"no JSON value at character {stop.value}") from None
    except SystemError:
        # the scanner takes its own exception from `json`, and says this where that is not imported
        raise ValueError(f"damaged JSON in the value at character {at}") from None


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in SPACE and at < len(text):
        at += 1
    return at
