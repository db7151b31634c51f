"""The private listener every process has: /metrics, /healthz, /readyz on a port of their own, in a thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from shared.metrics import REGISTRY
from shared.settings import Common

#: Answers why the process is not ready, or not alive; None when it is.
Readiness = Callable[[], str | None]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """No access log."""


def start(
    settings: Common,
    *,
    ready: Readiness,
    alive: Readiness = lambda: None,
    collect: Callable[[], None] = lambda: None,
) -> Callable[[], None]:
    """Serve until the returned function is called. `collect` runs before each scrape; nothing starts on port 0."""
    probes = {"/readyz": ready, "/healthz": alive}
    if not settings.private_port:
        return lambda: None

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        status, kind, body = _answer(environ["PATH_INFO"], probes, collect)
        start_response(status, [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body]

    server = make_server(settings.private_host, settings.private_port, answer, _Server, _Quiet)
    threading.Thread(target=server.serve_forever, name="private", daemon=True).start()

    def stop() -> None:
        server.shutdown()
        server.server_close()

    return stop


def _answer(path: str, probes: Mapping[str, Readiness], collect: Callable[[], None]) -> tuple[str, str, bytes]:
    if path == "/metrics":
        collect()
        return "200 OK", CONTENT_TYPE_LATEST, generate_latest(REGISTRY)
    if path in probes:
        reason = probes[path]()
        if reason:
            return "503 Service Unavailable", "text/plain", f"{reason}\n".encode()
        return "200 OK", "text/plain", b"ready\n" if path == "/readyz" else b"ok\n"
    return "404 Not Found", "text/plain", b"here are /metrics, /healthz and /readyz\n"
