"""A control that serves nothing but its key set, slow or silent when a test says so."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec

from shared import keys


class KeyServer(ThreadingHTTPServer):
    """Serves a key set, and counts how often it was asked. Without a body it answers 503."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.body, self.asked, self.let = b"", 0, threading.Event()
        self.let.set()
        self.url = f"http://127.0.0.1:{self.server_port}/jwks.json"

    def publish(self, key_set: keys.KeySet) -> None:
        """Serve the public half of `key_set` from now on."""
        self.body = msgspec.json.encode(keys.jwks(key_set))


class _Handler(BaseHTTPRequestHandler):
    server: KeyServer

    def do_GET(self) -> None:
        self.server.asked += 1
        self.server.let.wait(5)
        self.send_response(200 if self.server.body else 503)
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@contextlib.contextmanager
def key_server() -> Iterator[KeyServer]:
    """A running one on a free port."""
    with KeyServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()
