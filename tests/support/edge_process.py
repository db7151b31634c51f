"""The edge as `usher run` starts it: the plan's own command line and environment, and what its process tree costs."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from infra.stack.child import Spec
from infra.stack.home import Home
from infra.stack.plan import Plan, app_spec, make
from infra.stack.probe import Probe
from shared import keys, tokens
from tests.support.edge import claims
from tests.support.ports import free_base
from tests.support.processes import spawn

START_WITHIN_S, STOP_WITHIN_S = 60.0, 60.0
_SAMPLE = re.compile(r"^(usher_[a-z0-9_]+(?:\{[^}]*\})?) (\S+)$", re.MULTILINE)


class Usage(msgspec.Struct, frozen=True):
    """What the processes of an edge hold together."""

    rss_bytes: int
    descriptors: int
    threads: int
    cpu_s: float


class EdgeProcess:
    """One edge, with granian's worker where that serves. `token` mints what it accepts; `arguments` come last."""

    def __init__(
        self,
        folder: Path,
        environ: Mapping[str, str],
        *,
        key_set: keys.KeySet | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        self.folder, self.key_set = folder, key_set or keys.new_key_set()
        self._signer = keys.signing_key(self.key_set)
        self._environ, self._arguments = environ, tuple(arguments)
        self._process: subprocess.Popen[bytes] | None = None
        self._plan: Plan | None = None
        self.log = folder / "edge.log"

    @property
    def port(self) -> int:
        """Where players connect."""
        return self._made.ports["edge"]

    @property
    def private_port(self) -> int:
        """Where metrics and probes are."""
        return self._made.private_ports["edge"]

    @property
    def pid(self) -> int:
        """The process that was started; where granian serves, its worker is a child of it."""
        assert self._process is not None
        return self._process.pid

    @property
    def worker(self) -> int:
        """The process that runs the application: the one that was started, or granian's child."""
        return next(iter(_children(self.pid)), self.pid)

    @property
    def _made(self) -> Plan:
        assert self._plan is not None
        return self._plan

    def token(self, **changes: Any) -> str:
        """A good token, with `changes` to its claims."""
        return tokens.mint(claims(time.time(), **changes), self._signer)

    async def start(self) -> None:
        """Start on fresh ports and wait until it answers."""
        spec = self._spec()
        self._process = spawn(spec, self.log, *self._arguments)
        await self._wait(spec.probe)
        # The server listens only once the application has started, so ready alone is a moment early.
        await self._wait(Probe(self.port))

    def _spec(self) -> Spec:
        home = Home(self.folder)
        home.make()
        jwks = self.folder / "edge" / "jwks.json"
        jwks.write_bytes(msgspec.json.encode(keys.jwks(self.key_set)))
        environ = {**os.environ, "USHER_PORT_BASE": str(free_base()), **self._environ}
        self._plan = make(home, environ, mark="test", parts=("edge",))
        return app_spec(self._plan, "edge")

    async def _wait(self, probe: Probe) -> None:
        until = time.monotonic() + START_WITHIN_S
        while not await probe.answers():
            assert self._process is not None
            assert self._process.poll() is None, self.log.read_text()
            assert time.monotonic() < until, self.log.read_text()
            await asyncio.sleep(0.03)

    async def stop(self, *, within_s: float = STOP_WITHIN_S) -> int:
        """SIGTERM; the exit status. Killed, and an error, when it takes longer than `within_s`."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.to_thread(self._process.wait, within_s)
        finally:
            self.kill()

    def kill(self) -> None:
        """End the whole session at once; no error when it has ended."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    async def drain(self) -> None:
        """Tell the worker to take no new viewers, as a preStop hook does."""
        os.kill(self.worker, signal.SIGUSR1)

    async def is_ready(self) -> bool:
        """What /readyz says."""
        return await Probe(self.private_port, "/readyz").answers()

    def usage(self) -> Usage:
        """Of the whole process tree, now."""
        pids = [self.pid, *_children(self.pid)]
        status = [_status(pid) for pid in pids]
        return Usage(
            rss_bytes=sum(one["VmRSS"] for one in status) * 1024,
            descriptors=sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids),
            threads=sum(one["Threads"] for one in status),
            cpu_s=sum(_cpu_s(pid) for pid in pids),
        )

    async def metrics(self) -> dict[str, float]:
        """Samples of a scrape by name and labels, as Prometheus writes them."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.private_port)
        writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
        try:
            text = (await reader.read()).decode()
        finally:
            writer.close()
        return {name: float(value) for name, value in _SAMPLE.findall(text)}


@asynccontextmanager
async def edge_process(folder: Path, environ: Mapping[str, str], **more: Any) -> AsyncIterator[EdgeProcess]:
    """A running edge whose state lies in `folder`; killed at the end if the test has not stopped it."""
    folder.mkdir(parents=True, exist_ok=True)
    edge = EdgeProcess(folder, environ, **more)
    try:
        await edge.start()
        yield edge
    finally:
        edge.kill()


def _children(pid: int) -> list[int]:
    """Children that run the application: multiprocessing's tracker of resources is none."""
    found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [child for child in found if b"resource_tracker" not in Path(f"/proc/{child}/cmdline").read_bytes()]


def _status(pid: int) -> dict[str, int]:
    lines = (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {name: int(value.split()[0]) for name, _, value in lines if name in ("VmRSS", "Threads")}


def _cpu_s(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
