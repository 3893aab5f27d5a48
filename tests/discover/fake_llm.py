"""A server on loopback that speaks Anthropic Messages, OpenAI Responses and Chat Completions.

It answers from a script, one entry per request, in the order in which requests come; the last
entry repeats. A request that a real server would refuse (no key, no version, an unknown field) is
refused here too. `FakeLLM.requests` holds what came.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KNOWN_FIELDS = {
    "/v1/messages": {"model", "max_tokens", "system", "messages", "output_config"},
    "/v1/responses": {
        "model",
        "instructions",
        "input",
        "max_output_tokens",
        "store",
        "reasoning",
    },
    "/v1/chat/completions": {"model", "messages", "max_tokens", "reasoning_effort"},
}


TOKENS = 470
"""Of every answer, input and output together."""


@dataclass(frozen=True)
class Answer:
    """One scripted answer. Everything but `text` is a fault."""

    text: str = ""
    status: int = 200
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    stop: str | None = "ok"
    """ok, length, filter, or None for an answer that breaks off."""
    raw: str | None = None
    """Sent as it is instead of JSON."""
    usage: bool = True
    cut: bool = False
    """The connection closes in the middle of the body."""
    slow_s: float = 0.0
    error_body: bool = False
    """Status 200 with an error object."""


def error(status: int, code: str | None = None, **headers: str) -> Answer:
    """An HTTP error; header names are given with underscores."""
    return Answer(
        status=status, code=code, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


@dataclass(frozen=True)
class Received:
    path: str
    body: dict[str, Any]
    headers: Mapping[str, str]
    at_s: float


class FakeLLM:
    """Use as a context manager; `anthropic_url` and `openai_url` are the base addresses."""

    def __init__(
        self,
        script: Sequence[Answer | str],
        *,
        on_request: Callable[[], None] | None = None,
        answering: Callable[[dict[str, Any]], Answer] | None = None,
        needs_key: bool | str = True,
        models: Sequence[str] | None = None,
    ) -> None:
        self.script = [Answer(a) if isinstance(a, str) else a for a in script]
        self.requests: list[Received] = []
        self.billed_tokens = 0
        """Of answers that arrive whole."""
        self.lost_tokens = 0
        """Of answers that break off: worked on, and billed, for nobody."""
        self.refused: list[str] = []
        self.needs_key = needs_key
        self.models = models
        """Those it lists; None: it knows no such question."""
        self._on_request = on_request
        self._answering = answering
        """Makes the answer of the request alone, in place of the script."""
        self._lock = threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                outer._handle(self)

            def do_GET(self) -> None:
                outer._list(self)

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )

    def __enter__(self) -> FakeLLM:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def anthropic_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def openai_url(self) -> str:
        return f"{self.anthropic_url}/v1"

    def _handle(self, http: BaseHTTPRequestHandler) -> None:
        body = json.loads(http.rfile.read(int(http.headers["content-length"])))
        with self._lock:
            number = len(self.requests)
            self.requests.append(Received(http.path, body, dict(http.headers), time.monotonic()))
        if self._on_request:
            self._on_request()
        if refusal := self._refusal(http.path, body, http.headers):
            self.refused.append(refusal)
            self._send(http, 400, json.dumps(_error_body(http.path, 400, None, refusal)), {})
            return
        if self._answering is not None:
            answer = self._answering(body)
        else:
            answer = self.script[min(number, len(self.script) - 1)]
        time.sleep(answer.slow_s)
        try:
            self._answer(http, answer, body["model"], number)
        except (BrokenPipeError, ConnectionResetError):
            return  # the client gave up, as a test of time limits wants

    def _list(self, http: BaseHTTPRequestHandler) -> None:
        """`/v1/models`, and one model of it."""
        listed = [{"id": name, "object": "model", "type": "model"} for name in self.models or ()]
        name = http.path.partition("?")[0].removeprefix("/v1/models").strip("/")
        if self.needs_key == "refused":
            self._send(http, 401, json.dumps(_error_body(http.path, 401, None, "bad key")), {})
        elif not name and self.models is not None:
            self._send(http, 200, json.dumps({"object": "list", "data": listed}), {})
        elif found := [entry for entry in listed if entry["id"] == name]:
            self._send(http, 200, json.dumps(found[0]), {})
        else:
            body = _error_body("/v1/messages", 404, None, "not found")
            self._send(http, 404, json.dumps(body), {})

    def _refusal(self, path: str, body: dict[str, Any], headers: Any) -> str | None:
        if path not in KNOWN_FIELDS:
            return f"no such path {path}"
        if unknown := set(body) - KNOWN_FIELDS[path]:
            return f"unknown fields {sorted(unknown)}"
        if path == "/v1/messages" and not headers.get("anthropic-version"):
            return "anthropic-version header is required"
        bearer = headers.get("authorization") or headers.get("x-api-key")
        if self.needs_key and not bearer:
            return "no key"
        if path != "/v1/responses" and not all(
            isinstance(m["content"], str) for m in body["messages"]
        ):
            return "content of a message must be text"
        return None

    def _answer(
        self, http: BaseHTTPRequestHandler, answer: Answer, model: str, number: int
    ) -> None:
        if answer.raw is not None:
            kind = "text/html" if answer.raw.startswith("<") else "application/json"
            self._send(http, answer.status, answer.raw, {"content-type": kind})
        elif answer.status != 200 or answer.error_body:
            body = _error_body(http.path, answer.status, answer.code, "scripted fault")
            self._send(http, answer.status, json.dumps(body), answer.headers)
        else:
            text = json.dumps(_BODIES[http.path](answer, model, number))
            with self._lock:
                whole = not answer.cut and answer.stop is not None
                self.billed_tokens += TOKENS if whole else 0
                self.lost_tokens += 0 if whole else TOKENS
            self._send(http, 200, text, answer.headers, cut=answer.cut)

    def _send(
        self,
        http: BaseHTTPRequestHandler,
        status: int,
        text: str,
        headers: Mapping[str, str],
        *,
        cut: bool = False,
    ) -> None:
        data = text.encode()
        http.send_response(status)
        for name, value in {"content-type": "application/json", **headers}.items():
            http.send_header(name, value)
        http.send_header("content-length", str(len(data)))
        http.end_headers()
        http.wfile.write(data[: len(data) // 2] if cut else data)
        http.wfile.flush()
        if cut:
            http.connection.shutdown(socket.SHUT_RDWR)
            http.close_connection = True


def _error_body(path: str, status: int, code: str | None, message: str) -> dict[str, Any]:
    if path == "/v1/messages":
        kinds = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}
        kinds |= {400: "invalid_request_error", 529: "overloaded_error"}
        details = {"error_code": code} if code else None
        inner = {"type": kinds.get(status, "api_error"), "message": message, "details": details}
        return {"type": "error", "error": inner}
    return {"error": {"message": message, "type": "server_error", "code": code, "param": None}}


def _messages(answer: Answer, model: str, number: int) -> dict[str, Any]:
    stops = {"ok": "end_turn", "length": "max_tokens", "filter": "refusal", None: None}
    usage = {
        "input_tokens": 100,
        "cache_creation_input_tokens": 20,
        "cache_read_input_tokens": 300,
        "output_tokens": 50,
    }
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": answer.text},
        ],
        "stop_reason": stops[answer.stop],
        "stop_sequence": None,
        "usage": usage if answer.usage else None,
    }


def _responses(answer: Answer, model: str, number: int) -> dict[str, Any]:
    statuses = {"ok": "completed", "length": "incomplete", "filter": "incomplete", None: None}
    reasons = {"length": "max_output_tokens", "filter": "content_filter"}
    reason = reasons.get(answer.stop or "")
    usage = {
        "input_tokens": 420,
        "input_tokens_details": {"cached_tokens": 300, "cache_write_tokens": 20},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 10},
        "total_tokens": 470,
    }
    part = {"type": "output_text", "text": answer.text, "annotations": []}
    return {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": 0,
        "model": model,
        "status": statuses[answer.stop],
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "output": [
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {
                "type": "message",
                "id": "m_1",
                "role": "assistant",
                "status": "completed",
                "content": [part],
            },
        ],
        "usage": usage if answer.usage else None,
    }


def _chat(answer: Answer, model: str, number: int) -> dict[str, Any]:
    reasons = {"ok": "stop", "length": "length", "filter": "content_filter", None: None}
    usage = {
        "prompt_tokens": 420,
        "completion_tokens": 50,
        "total_tokens": 470,
        "prompt_tokens_details": {"cached_tokens": 300},
    }
    body = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [
            {
                "index": 0,
                "finish_reason": reasons[answer.stop],
                "message": {"role": "assistant", "content": answer.text},
            }
        ],
    }
    return body | ({"usage": usage} if answer.usage else {})


_BODIES = {
    "/v1/messages": _messages,
    "/v1/responses": _responses,
    "/v1/chat/completions": _chat,
}
