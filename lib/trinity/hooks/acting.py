"""What a hook sets going besides recording: the evaluation, and the notes of a resumed session.

A hook never evaluates: it starts `scripts/evaluate_status.py --act` as a process of its own that outlives the client,
and leaves. The interpreter is the first line of `HOME/python`, written by the installer: the hook's own is
the resolved one, run without site, and knows nothing of the virtual environment. Without that
file (the plugin alone) hooks record, and nothing is started.
"""

from time import time

from trinity.hooks import process, record, system

# Only a first sieve: the words may stand in a prompt or a tool's output. The evaluation parses the lines.
ERROR_LINE = b'"isApiErrorMessage":true'
TAIL = 256 << 10
SWEEP_SECONDS = 60
_NOTE_LIMIT = 64 << 10
_CHECKOUT = __file__.rpartition("lib")[0]


def at_session_start(home: str, payload: dict[str, object]) -> None:
    """Says where a conversation went that was handed away, gives another resumed one its notes, and looks (once a minute)
    for limits that no hook reported."""
    if system.present(f"{home}/fence/{record.session_of(payload)}.json"):
        from trinity.hooks import fence

        fence.announce(home, record.session_of(payload))
    elif payload.get("source") == "resume":
        note = f"{home}/notes/{record.session_of(payload)}.txt"
        if system.modified(note):
            text = system.read_file(note, _NOTE_LIMIT)
            # the client would take a text that begins like an object for instructions to itself
            system.show(b"Trinity: " + text if text.lstrip().startswith(b"{") else text)
    if abs(time() - system.modified(f"{home}/last_sweep")) >= SWEEP_SECONDS:
        system.replace(home, "last_sweep", b"")
        start_evaluation(home)


def at_session_end(home: str, payload: dict[str, object]) -> None:
    """Starts the evaluation when the transcript's tail may hold an API error: in `-p` this is the hook that is sure
    to run, and the error line is on disk by then; and when an order to drain it lies there. Of accepted work the result
    is sent home."""
    if system.present(f"{home}/lease/{record.session_of(payload)}.json"):
        from trinity.hooks import carried

        carried.at_rest(home, payload)
    if system.present(f"{home}/drain/{record.session_of(payload)}.json"):
        start_evaluation(home)
        return
    transcript = payload.get("transcript_path")
    if not isinstance(transcript, str) or not transcript:
        return
    try:
        tail = system.read_tail(transcript, TAIL)
    except FileNotFoundError:
        return  # a session that ended before its first prompt has none
    if ERROR_LINE in tail:
        start_evaluation(home)


def at_stop_failure(home: str, payload: dict[str, object]) -> None:
    """Starts the evaluation, unless it was a subagent that failed: its parent may well go on."""
    if not payload.get("agent_id"):
        start_evaluation(home)


def start_evaluation(home: str) -> None:
    """Starts `evaluate_status.py --act --home HOME`, detached. OSError when it cannot be started."""
    try:
        python = system.read_file(f"{home}/python", 4096).decode("utf-8").partition("\n")[0].strip()
    except FileNotFoundError:
        return
    process.detach([python, "-I", f"{_CHECKOUT}scripts/evaluate_status.py", "--act", "--home", home], home)
