"""A scripted Messages API on loopback, for real Claude Code clients without account or network.

    with ScriptedApi({"steps": [bash("echo one")], "default": {"text": "finished"}}) as api:
        api.limit_until(time.time() + 60, after=1)      # a usage limit in the middle of the first turn
        … run a client with ANTHROPIC_BASE_URL=api.url …
        api.main_requests()[-1].text                    # what the client sent, earlier turns included

As a program it serves the same until it is stopped; the control endpoints are listed in `tests/api/server.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.api.failures import FAILURES, limited
from tests.api.limits import CLAIMS, Limit, limit_headers, used_headers
from tests.api.plan import Plan, Script, Step, bash
from tests.api.requests import Request
from tests.api.server import Server

__all__ = [
    "CLAIMS", "FAILURES", "Limit", "Plan", "Request", "ScriptedApi", "Step", "bash", "limit_headers", "limited",
    "used_headers",
]  # fmt: skip


class ScriptedApi:
    """The API and everything it was asked. Every method may be called while clients are being served."""

    def __init__(self, plan: Mapping[str, Any] | Plan | None = None, port: int = 0) -> None:
        self._lock = threading.Lock()
        self._plan = Script(plan)
        self._by_session: dict[str, Script] = {}
        self._by_prompt: dict[str, Script] = {}
        self._limits: list[Limit] = []
        self._requests: list[Request] = []
        self._count = 0
        self.stopping = threading.Event()
        self._server = Server(self, port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> ScriptedApi:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What it answers

    def set_plan(self, plan: Mapping[str, Any] | Plan, session: str | None = None, prompt: str | None = None) -> None:
        """Play `plan` from its start: for one session id, for sessions whose first prompt holds `prompt`, or for all."""
        script = Script(plan)
        with self._lock:
            if session is not None:
                self._by_session[session] = script
            elif prompt is not None:
                self._by_prompt[prompt] = script
            else:
                self._plan = script

    def limit_until(
        self,
        until: float,
        claim: str = "five_hour",
        after: int = 0,
        session: str | None = None,
        account: str | None = None,
        model: str | None = None,
        lasts: float | None = None,
    ) -> Limit:
        """Refuse with the 429 of `claim` until the moment `until`, then serve; see `Limit` for the rest."""
        limit = Limit(until, claim, after, session, account, model, lasts)
        with self._lock:
            self._limits.append(limit)
        return limit

    def move_reset(self, until: float) -> None:
        """Every limit ends at `until` instead."""
        with self._lock:
            for limit in self._limits:
                limit.until = until

    def lift(self) -> None:
        """No limit any more, before or after its time."""
        with self._lock:
            self._limits.clear()

    def answer(self, request: Request) -> tuple[Step, dict[str, str]]:
        """The step for this request, and all headers of the reply."""
        with self._lock:
            limits = [one for one in self._limits if one.applies(request.session, request.account, request.model)]
            for limit in limits:
                if limit.rejects(request.session, request.main):
                    request.limited = True
                    step = limited(limit.claim, limit.until)
                    return step, step["headers"]
            script = self._script(request)
            step = script.next(request.main)
            beside = limits[-1].reply_headers() if limits else {}
            return step, {**beside, **script.headers, **step.get("headers", {})}

    def _script(self, request: Request) -> Script:
        if request.session in self._by_session:
            return self._by_session[request.session]
        if self._by_prompt:
            said = request.first_prompt
            for part, script in self._by_prompt.items():
                if part in said:
                    return script
        return self._plan

    # What it was asked

    def record(self, **fields: Any) -> Request:
        with self._lock:
            self._count += 1
            request = Request(number=self._count, time=time.time(), **fields)
            self._requests.append(request)
            return request

    @property
    def requests(self) -> list[Request]:
        """Every request so far, in order of arrival."""
        with self._lock:
            return list(self._requests)

    def main_requests(self, session: str | None = None) -> list[Request]:
        """The turns of conversations (of one session), without titles, greetings and token counts."""
        found = (request for request in self.requests if request.main and "count_tokens" not in request.path)
        return [request for request in found if session in (None, request.session)]

    def clear(self) -> None:
        """Forget the requests so far; their numbers go on."""
        with self._lock:
            self._requests.clear()

    def wait_for(self, wanted: Callable[[list[Request]], Any], timeout: float = 30) -> list[Request]:
        """The main requests as soon as `wanted(main_requests)` is true; TimeoutError after `timeout` seconds."""
        end = time.monotonic() + timeout
        while True:
            found = self.main_requests()
            if wanted(found):
                return found
            if time.monotonic() > end:
                seen = [(request.number, request.session[:8], request.status) for request in found]
                raise TimeoutError(f"the scripted API waited {timeout} s in vain; main requests so far: {seen}")
            time.sleep(0.05)

    # The control endpoints

    def control(self, path: str, body: dict[str, Any]) -> bool:
        """Do what a control endpoint asks; False when there is none of this name."""
        if path == "/__plan":
            self.set_plan(body.get("plan", {}), body.get("session"), body.get("prompt"))
        elif path == "/__limit":
            if body.get("until") is None:
                self.lift()
            else:
                self.limit_until(**body)
        elif path == "/__move":
            self.move_reset(float(body["until"]))
        elif path == "/__clear":
            self.clear()
        elif path == "/__stop":
            self.stopping.set()
        else:
            return False
        return True


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--port-file", type=Path, help="where to write the port once it is served")
    parser.add_argument("--plan", type=Path, help="a plan as JSON")
    parser.add_argument("--failure", choices=sorted(FAILURES), help="answer every main request with this failure")
    parser.add_argument("--limit", choices=sorted(CLAIMS), help="refuse with this limit until it resets")
    parser.add_argument("--resets-in", type=float, default=3600, metavar="SECONDS", help="default 3600")
    parser.add_argument("--after", type=int, default=0, help="main requests of a session served before the limit")
    arguments = parser.parse_args(argv)
    resets_at = time.time() + arguments.resets_in
    plan: Mapping[str, Any] = json.loads(arguments.plan.read_text(encoding="utf-8")) if arguments.plan else {}
    if arguments.failure:
        plan = {"default": FAILURES[arguments.failure](resets_at)}
    with ScriptedApi(plan, arguments.port) as api:
        if arguments.limit:
            api.limit_until(resets_at, arguments.limit, arguments.after)
        if arguments.port_file:
            beside = arguments.port_file.with_name(arguments.port_file.name + ".new")
            beside.write_text(str(api.port), encoding="utf-8")
            beside.replace(arguments.port_file)  # whoever waits for the file finds the whole number
        print(f"scripted API at {api.url}", flush=True)
        try:
            api.stopping.wait()
        except KeyboardInterrupt:
            return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
