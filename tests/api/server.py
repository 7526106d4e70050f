"""The HTTP face of the scripted API: the Messages endpoint, and the control endpoints below `/__`.

GET  /__requests[?after=N]  every request after number N, with bodies
POST /__plan                {"plan": PLAN, "session"?: ID, "prompt"?: PART}
POST /__limit               {"until": T, "claim"?, "after"?, "session"?, "account"?, "model"?}; T null lifts all
POST /__move                {"until": T}: moves the reset of the limits in force
POST /__clear               forgets the requests so far
POST /__stop                ends the server
"""

from __future__ import annotations

import json
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.api import replies
from tests.api.plan import Step
from tests.api.requests import KEPT, Request

if TYPE_CHECKING:
    from tests.fake_api import ScriptedApi


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, api: ScriptedApi, port: int) -> None:
        self.api = api
        super().__init__(("127.0.0.1", port), Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed in the middle of a reply is what these tests are about: no traceback."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def log_message(self, format: str, *args: Any) -> None:
        """The record of requests is the log."""

    def do_HEAD(self) -> None:
        self._record("HEAD", {}).status = 200
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/__requests":
            after = int(parse_qs(url.query).get("after", ["0"])[0])
            found = [request.document() for request in self.server.api.requests if request.number > after]
            return self._json(200, found)
        self._record("GET", {}).status = 404
        return self._json(404, replies.error_body("not_found_error", "no such path"))

    def do_POST(self) -> None:
        raw = self._body()
        try:
            body = json.loads(raw or b"{}")
        except ValueError:
            return self._json(400, replies.error_body("invalid_request_error", "the body is not JSON"))
        path = urlsplit(self.path).path
        if path.startswith("/__"):
            return self._control(path, body)
        request = self._record("POST", body)
        if path == "/v1/messages/count_tokens":
            request.status = 200
            return self._json(200, {"input_tokens": 1234})
        if path != "/v1/messages":
            request.status = 200
            return self._json(200, {})
        step, headers = self.server.api.answer(request)
        return self._reply(request, step, headers)

    def _control(self, path: str, body: dict[str, Any]) -> None:
        if not self.server.api.control(path, body):
            return self._json(404, replies.error_body("not_found_error", f"no control endpoint {path}"))
        return self._json(200, {"ok": True})

    def _reply(self, request: Request, step: Step, headers: dict[str, str]) -> None:
        if self.server.api.stopping.wait(step.get("delay", 0) + step.get("hang", 0)):
            raise ConnectionAbortedError
        if step.get("drop") == "before":
            self.close_connection = True
            return None
        if "error" in step:
            request.status = step["error"]
            kind, message = step.get("type", "api_error"), step.get("message", "error")
            return self._json(step["error"], replies.error_body(kind, message, step.get("details")), headers)
        request.status = 200
        if not request.body.get("stream"):
            return self._json(200, replies.message(step, request.model), headers)
        self.close_connection = True
        self.send_response(200)
        self._headers({"content-type": "text/event-stream", "cache-control": "no-cache", "connection": "close"})
        self._headers({"request-id": replies.new_id("req"), **headers})
        self.end_headers()
        try:
            for event in replies.events(step, request.model):
                self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
                self.wfile.flush()
                if event["type"] == "content_block_delta":
                    time.sleep(step.get("chunk_delay", 0))
        except replies.Dropped:
            pass
        return None

    def _json(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self._headers({"content-type": "application/json", "content-length": str(len(data))})
        self._headers({"request-id": replies.new_id("req"), **(headers or {})})
        self.end_headers()
        self.wfile.write(data)

    def _headers(self, headers: dict[str, str]) -> None:
        for key, value in headers.items():
            self.send_header(key, str(value))

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        data = b""
        while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def _record(self, method: str, body: dict[str, Any]) -> Request:
        bearer = self.headers.get("authorization", "").removeprefix("Bearer ")
        key = self.headers.get("x-api-key", "")
        return self.server.api.record(
            method=method,
            path=self.path,
            session=self.headers.get("x-claude-code-session-id", ""),
            account=bearer or key,
            auth="oauth" if bearer else "key" if key else "",
            main=bool(body.get("tools")),
            headers={name: self.headers[name] for name in KEPT if name in self.headers},
            body=body,
        )
