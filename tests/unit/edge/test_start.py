"""How an edge is started and counted: granian's command line from the settings, counters, the loop's pulse."""

from __future__ import annotations

import asyncio
import itertools
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from gateway.edge.__main__ import APPLICATION, options
from gateway.edge.http1.server import listening
from gateway.edge.pulse import DEAD_S, Pulse
from shared import metrics
from shared.metrics import Total
from shared.settings import EdgeSettings
from tests.support.ports import free_port


def paired(words: list[str]) -> dict[str, str]:
    return {name: value for name, value in itertools.pairwise(words) if name.startswith("--")}


def test_command_line_says_what_the_settings_say() -> None:
    given = paired(options(EdgeSettings(listen_host="::", listen_port=21399, connections=999, stop_s=7)))
    assert (given["--host"], given["--port"], given["--workers"], given["--factory"]) == (
        "::",
        "21399",
        "1",
        APPLICATION,
    )
    assert (given["--backlog"], given["--backpressure"], given["--workers-kill-timeout"]) == ("999", "999", "7")
    assert "--ssl-certificate" not in given


def test_certificate_makes_it_speak_tls() -> None:
    given = paired(options(EdgeSettings(tls_cert="/tls/tls.crt", tls_key="/tls/tls.key")))
    assert (given["--ssl-certificate"], given["--ssl-keyfile"]) == ("/tls/tls.crt", "/tls/tls.key")


def test_a_bad_setting_is_said_in_one_line() -> None:
    done = subprocess.run([sys.executable, "-m", "gateway.edge"], env={"USHER_DRAIN_S": "soon"}, capture_output=True)
    assert done.returncode == 1
    assert done.stderr.startswith(b"USHER_DRAIN_S is 'soon'") and done.stderr.count(b"\n") == 1


def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        environ = {"USHER_LISTEN_PORT": str(port), "USHER_HOME": str(tmp_path)}
        done = subprocess.run([sys.executable, "-m", "gateway.edge"], env=environ, capture_output=True, timeout=60)
    assert done.returncode == 1
    said = f"The edge cannot listen on 127.0.0.1, port {port}: Address already in use"
    assert done.stderr.decode().rstrip().splitlines()[-1].startswith(said) and b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("host", "asked"), [("::", ["127.0.0.1", "::1"]), ("127.0.0.1", ["127.0.0.1"]), ("::1", ["::1"])]
)
def test_it_listens_on_all_addresses_the_setting_names(host: str, asked: list[str]) -> None:
    port = free_port()
    with listening(EdgeSettings(listen_host=host, listen_port=port)):
        for address in asked:
            socket.create_connection((address, port), timeout=5).close()


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> CollectorRegistry:
    made = CollectorRegistry()
    monkeypatch.setattr(metrics, "REGISTRY", made)
    return made


def test_total_is_a_counter_from_zero_on(registry: CollectorRegistry) -> None:
    total = Total("x_total", "of x", ("how",), zero=("a", "b"))
    plain = Total("y_total", "of y")
    total.labels("b").set(2)
    total.labels("c").set(3)
    plain.set(4)
    told = generate_latest(registry).decode()
    assert "# TYPE x_total counter" in told and "# HELP y_total of y" in told
    assert [line for line in told.splitlines() if not line.startswith("#")] == [
        'x_total{how="a"} 0.0',
        'x_total{how="b"} 2.0',
        'x_total{how="c"} 3.0',
        "y_total 4.0",
    ]


async def test_pulse_beats_while_the_loop_comes_round_and_is_missed_when_it_does_not() -> None:
    pulse = Pulse()
    watching = asyncio.ensure_future(pulse.watch())
    async with asyncio.timeout(10):
        while pulse.beats < 2:  # noqa: ASYNC110 - the pulse rings no bell
            await asyncio.sleep(0.01)
    watching.cancel()
    assert pulse.stopped() is None
    pulse._last -= DEAD_S + 1
    assert "stood still" in (pulse.stopped() or "")
