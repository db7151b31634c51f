"""`python -m gateway.edge`: serve as the settings say; `drain` as a preStop hook.

HTTP/1.1 in cleartext is spoken by `http1`, on the loop's own sockets. TLS and HTTP/2 are granian's, whose own options
may follow on the command line.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

from granian.cli import cli

from gateway.edge import drain
from gateway.edge.app import create_app
from gateway.edge.http1 import server
from shared.errors import Misconfigured
from shared.settings import EdgeSettings, load

#: Room for requests and answers of one connection; longer heads of requests are refused.
BUFFER_BYTES = 32 * 1024
APPLICATION = "gateway.edge.app:create_app"


def options(settings: EdgeSettings) -> list[str]:
    """granian's command line: one worker, whose cache and seats are its own, on as many connections as it may hold."""
    words = {
        "--interface": "asgi",
        "--host": settings.listen_host,
        "--port": str(settings.listen_port),
        "--workers": "1",
        "--loop": "uvloop",
        # Both count connections, idle ones too, and not requests.
        "--backlog": str(settings.connections),
        "--backpressure": str(settings.connections),
        # What waits in the server for a client that does not read.
        "--http1-buffer-size": str(BUFFER_BYTES),
        "--workers-kill-timeout": str(settings.stop_s),
        # Its lines are plain text, one for each client that leaves half way.
        "--log-level": "warning",
    }
    if settings.tls_cert:
        words |= {"--ssl-certificate": settings.tls_cert, "--ssl-keyfile": settings.tls_key}
    return [word for pair in words.items() for word in pair] + ["--no-ws", "--factory", APPLICATION]


def main(arguments: Sequence[str]) -> None:
    """Serve until a signal, or drain the edge that serves."""
    try:
        settings = load(EdgeSettings)
        if arguments == ["drain"]:
            drain.ask(settings)
            return
    except (Misconfigured, drain.Nowhere) as wrong:
        sys.exit(str(wrong))
    # granian would start a second worker beside the first, on the same private port and the same disk cache.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    with drain.findable(settings):
        if not (settings.tls_cert or settings.http2_cleartext or arguments):
            try:
                server.run(create_app(), settings)
            except Misconfigured as wrong:
                sys.exit(str(wrong))
            return
        cli([*options(settings), *arguments], prog_name="gateway.edge", auto_envvar_prefix="GRANIAN")


if __name__ == "__main__":
    main(sys.argv[1:])
