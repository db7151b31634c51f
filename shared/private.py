"""The private listener every process has: /metrics, /healthz, /readyz on a port of their own, in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from shared.metrics import REGISTRY
from shared.settings import Common

#: Answers why the process is not ready, or None when it is.
Readiness = Callable[[], str | None]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """No access log."""


def start(settings: Common, *, ready: Readiness, collect: Callable[[], None] = lambda: None) -> Callable[[], None]:
    """Serve until the returned function is called. `collect` runs before each scrape; nothing starts on port 0."""
    if not settings.private_port:
        return lambda: None

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        status, kind, body = _answer(environ["PATH_INFO"], ready, collect)
        start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body]

    server = make_server(settings.private_host, settings.private_port, answer, _Server, _Quiet)
    threading.Thread(target=server.serve_forever, name="private", daemon=True).start()

    def stop() -> None:
        server.shutdown()
        server.server_close()

    return stop


def _answer(path: str, ready: Readiness, collect: Callable[[], None]) -> tuple[str, str, bytes]:
    if path == "/metrics":
        collect()
        return "200 OK", CONTENT_TYPE_LATEST, generate_latest(REGISTRY)
    if path == "/healthz":
        return "200 OK", "text/plain", b"ok\n"
    if path == "/readyz":
        reason = ready()
        return (
            ("503 Service Unavailable", "text/plain", f"{reason}\n".encode())
            if reason
            else ("200 OK", "text/plain", b"ready\n")
        )
    return "404 Not Found", "text/plain", b"here are /metrics, /healthz and /readyz\n"
