"""What a hook answers the client on stdout, in the client's JSON. Each function returns the hook's exit code."""

from trinity.hooks import compact_json, system


def deny(reason: str, end_turn: bool = False) -> int:
    """PreToolUse: the tool does not run and the model reads `reason`; with `end_turn` it is the turn's last."""
    said = compact_json.quote(reason)
    end = f'"continue":false,"stopReason":{said},' if end_turn else ""
    decision = f'"permissionDecision":"deny","permissionDecisionReason":{said}'
    return _show(f'{{{end}"hookSpecificOutput":{{"hookEventName":"PreToolUse",{decision}}}}}')


def end_turn(reason: str) -> int:
    """The turn ends here, and the person reads `reason`."""
    return _show(f'{{"continue":false,"stopReason":{compact_json.quote(reason)}}}')


def tell(text: str) -> int:
    """The person reads `text`, the model does not."""
    return _show(f'{{"systemMessage":{compact_json.quote(text)}}}')


def _show(document: str) -> int:
    try:
        system.show(document.encode("ascii") + b"\n")
    except OSError:
        return 2  # nobody reads the answer; this code alone refuses, too
    return 0
