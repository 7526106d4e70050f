"""Whether a session may go on here: asked before a prompt, before a tool, and after a batch of tools.

Four files, each of one session, can say no; an ordinary session has none, and asking costs one look for each:

- `HOME/fence/<session>.json`: its conversation was handed away: no prompt, no tool, no compaction, no next request;
- `HOME/lease/<session>.json`: it works on a handoff that this PC accepted: no tool once the lease has run out;
- `HOME/guard/<session>.json`: its project lies elsewhere than on the PC it came from: no tool that names the old place.
  A session without one that is prompted in the folder of carried work gets the same;
- `HOME/drain/<session>.json`: a window of its account is as good as used up: no next request, if nobody sits at it.

A function here returns None when nothing is refused, else the hook's exit code; what it has to say is said by then. A
file that is there and cannot be read or understood closes its own session and no other, but for an order to drain. Whatever
else goes wrong leaves the session open.
"""

from trinity.hooks import record, system


def before_prompt(home: str, payload: dict[str, object]) -> int | None:
    """Refuses a prompt, the client's own included, of a conversation that was handed away; the prompt is kept."""
    session = record.session_of(payload)
    if system.present(f"{home}/fence/{session}.json"):
        from trinity.hooks import fence

        return fence.refuse_prompt(home, session, payload)
    if system.present(f"{home}/guard") and not system.present(f"{home}/guard/{session}.json"):
        # A fork, or a new session on carried work: 2.1.197 says the old id at a fork's start, and the new one from here on.
        from trinity.hooks import guard

        guard.inherit(home, session, str(payload.get("cwd") or ""))
    return None


def before_compaction(home: str, payload: dict[str, object]) -> int | None:
    """Refuses `/compact`, which asks the model without a prompt and would change what was handed away."""
    session = record.session_of(payload)
    if not system.present(f"{home}/fence/{session}.json"):
        return None
    from trinity.hooks import fence

    return fence.refuse(home, session)


def before_tool(home: str, payload: dict[str, object]) -> int | None:
    """Refuses a tool by whichever of the three files says so."""
    session = record.session_of(payload)
    if system.present(f"{home}/fence/{session}.json"):
        from trinity.hooks import fence

        return fence.refuse_tool(home, session)
    if system.present(f"{home}/lease/{session}.json"):
        from trinity.hooks import lease

        refused = lease.refuse_tool(home, session)
        if refused is not None:
            return refused
    if system.present(f"{home}/guard/{session}.json"):
        from trinity.hooks import guard

        return guard.refuse_tool(home, session, payload)
    return None


def after_tools(home: str, payload: dict[str, object]) -> int | None:
    """Ends the running turn of a conversation that was handed away meanwhile, or is to be drained."""
    session = record.session_of(payload)
    if system.present(f"{home}/fence/{session}.json"):
        from trinity.hooks import fence

        return fence.end_turn(home, session)
    if system.present(f"{home}/drain/{session}.json"):
        from trinity.hooks import drain

        return drain.end_turn(home, session, payload)
    return None
