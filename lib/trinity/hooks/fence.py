"""What a session hears whose conversation was handed away: where it went, and how to take it back.

Nothing here runs unless `HOME/fence/<session>.json` is there (written by `trinity.work.fence`). That file alone refuses:
its content is only told. A damaged one is said to be damaged, and refuses as well.
"""

from time import gmtime, strftime, time

from trinity.hooks import answer, compact_json, record, system

BLOCK = 2  # the exit code by which the client drops a prompt or a compaction
_LIMIT = 64 << 10
_FACTS = ("to_pc", "since", "handoff_id", "take_back")


def refuse_prompt(home: str, session: str, payload: dict[str, object]) -> int:
    """Keeps what was typed, then refuses it. What the client types itself, to go on after a reset, is not kept."""
    prompt = payload.get("prompt")
    said = _note(home, session)
    if isinstance(prompt, str) and prompt and not record.is_continuation(prompt):
        try:
            said += f"\nYour prompt is kept in {_keep(home, session, prompt)}"
        except BaseException as problem:  # a full disk: then what was typed is at least on the screen
            said += f"\nYour prompt could not be kept ({problem}). It was:\n{prompt}"
    return _block(home, said)


def refuse(home: str, session: str) -> int:
    """Refuses what nobody typed."""
    return _block(home, _note(home, session))


def refuse_tool(home: str, session: str) -> int:
    """Denies the tool and ends the turn: to say only that the turn ends would let this tool run."""
    return answer.deny(_note(home, session), end_turn=True)


def end_turn(home: str, session: str) -> int:
    """Lets no further request follow this batch of tools."""
    return answer.end_turn(_note(home, session))


def announce(home: str, session: str) -> None:
    """Tells the person who opens the session; not the model, which may be asked again after a take-back."""
    answer.tell(_note(home, session))


def _block(home: str, said: str) -> int:
    try:
        system.show(said.encode("utf-8", "replace") + b"\n", 2)
    except BaseException as problem:
        record.log(home, "fence", f"{type(problem).__name__}: {problem}")
    return BLOCK


def _note(home: str, session: str) -> str:
    """Where the conversation is; never an exception."""
    path = f"{home}/fence/{session}.json"
    try:
        facts = compact_json.parse(system.read_file(path, _LIMIT).decode("utf-8"))
        if not isinstance(facts, dict):
            raise ValueError("not an object")
        to_pc, since, handoff, take_back = (_plain(facts[name]) for name in _FACTS)
    except BaseException:
        return (
            "Trinity: this conversation was handed away, so nothing is sent from here. The note that says where is"
            f" damaged: {path}\nWhere it is: trinity handoffs list --all\nIf it belongs here after all, remove that file."
        )
    return (
        f"Trinity: this conversation went to {to_pc} at {since} (handoff {handoff}) and goes on there, so nothing is"
        f" sent from here.\nTo take it back: {take_back}"
    )


def _plain(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a fact is missing")
    return "".join(sign for sign in value[:500] if sign.isprintable())


def _keep(home: str, session: str, prompt: str) -> str:
    """Writes the prompt into a new file of `held/`, on the disk before this returns; its path. OSError."""
    now = time()
    stamp = f"{strftime('%Y%m%d_%H%M%S', gmtime(now))}_{int(now % 1 * 1000):03d}"
    for again in ("", "b", "c", "d"):
        name = f"{session}-{stamp}{again}.txt"
        try:
            system.keep(f"{home}/held", name, prompt.encode("utf-8", "replace"))
            return f"{home}/held/{name}"
        except FileExistsError:
            continue
    raise OSError("its file is there already")
