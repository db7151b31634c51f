"""The stage: one folder with keys and a bucket, a Valkey, and the edge on them, started as `usher run` starts it."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec

from benchmarks import processes
from benchmarks.tickets import Mint
from infra.stack import plan, valkey
from infra.stack.child import Spec
from infra.stack.home import Home
from infra.stack.plan import ROOT, Plan
from infra.stack.probe import is_free
from infra.stack.supervisor import Supervisor
from shared.errors import Misconfigured
from shared.ids import new_secret
from shared.settings import EdgeSettings, variable

TITLE = "ttl_bench"
#: Ports one stage may use, and where it looks for them.
PORTS, FIRST_PORT, LAST_PORT = 100, 9100, 31000
#: Ports between two edges of one stage: each takes those of a whole `run`.
_EDGE_STEP = 20


class Server(msgspec.Struct, frozen=True):
    """One server: where it answers, and the process whose tree does the work."""

    name: str
    port: int
    pid: int

    def cpu_s(self) -> float:
        """CPU it has used."""
        return processes.cpu_s(processes.tree(self.pid))

    def memory_bytes(self) -> int:
        """RAM it holds."""
        return processes.memory_bytes(processes.tree(self.pid))


class Stage:
    """What stands while a bench runs."""

    def __init__(self, supervisor: Supervisor, plan_: Plan, mint: Mint) -> None:
        self.folder, self.mint = plan_.home, mint
        self._supervisor, self._plan = supervisor, plan_
        self._edges = 0

    @property
    def bucket(self) -> Path:
        """The folder the edges read from."""
        return self.folder / "bucket"

    @property
    def valkey(self) -> Server:
        """The Valkey of all."""
        return self.server("valkey", self._plan.ports["valkey"])

    @property
    def redis_url(self) -> str:
        """The Valkey as an edge sees it."""
        return self.redis_of("edge")

    def redis_of(self, app: str) -> str:
        """The Valkey as a process of Usher sees it."""
        return self._plan.redis_url(app)

    def port(self, offset: int) -> int:
        """One of the stage's ports; the edges take those from 20 on."""
        return self._plan.base + offset

    def environment(self) -> dict[str, str]:
        """What a child of the stage gets, nothing of Usher's."""
        return plan.base_environment(self._plan)

    async def start(self, spec: Spec) -> Server:
        """Start a child and wait until it answers. Raises ChildDied."""
        await self._supervisor.start([spec])
        return self.server(spec.name, spec.probe.port)

    async def edge(self, name: str, *, settings: Mapping[str, str] = {}) -> tuple[Server, Spec]:
        """Start an edge as `run` does, with settings changed where this edge has them; and how that was done."""
        self._edges += 1
        folder = self.folder / "edge" / name
        folder.mkdir()
        wanted = {
            "redis_url": self.redis_url,
            "jwks_file": str(self.folder / "edge" / "jwks.json"),
            # What an edge keeps for itself, two edges must not share.
            "home": str(folder),
            "cache_disk_dir": str(folder / "cache"),
            **settings,
        }
        known = {variable(field): value for field, value in wanted.items() if field in EdgeSettings.__struct_fields__}
        own = msgspec.structs.replace(
            self._plan,
            base=self._plan.base + _EDGE_STEP * self._edges,
            environ={**self._plan.environ, **known},
        )
        spec = msgspec.structs.replace(plan.app_spec(own, "edge"), name=name)
        await self._supervisor.start([spec])
        return self.server(name, own.ports["edge"]), spec

    def server(self, name: str, port: int = 0) -> Server:
        """A child that was started."""
        return Server(name, port, self._supervisor.pids[name])


@contextlib.asynccontextmanager
async def standing(environ: Mapping[str, str] = os.environ) -> AsyncIterator[Stage]:
    """A stage with its Valkey up; everything gone at the end. Raises Misconfigured or ChildDied."""
    base = port_base(environ)
    with tempfile.TemporaryDirectory(prefix="usher-bench-") as folder:
        home = Home(Path(folder))
        home.make()
        home.make_secrets()
        passed = {name: environ[name] for name in plan.PASSED_ON if name in environ}
        passed[variable("port_base")] = str(base)
        plan_ = plan.make(home, passed, mark=new_secret(12), parts=("valkey", "edge"))
        mint = Mint(home.secrets, TITLE, now=time.time())
        (home.folder / "edge" / "jwks.json").write_bytes(msgspec.json.encode(mint.jwks()))
        async with Supervisor(home.log, mark=plan_.mark, say=say) as supervisor:
            await supervisor.start([valkey.spec(plan_.cache, valkey.binary(), plan.base_environment(plan_))])
            yield Stage(supervisor, plan_, mint)


def port_base(environ: Mapping[str, str]) -> int:
    """USHER_PORT_BASE where it is set, else the first of a hundred ports in a row that are free."""
    if environ.get(variable("port_base")):
        return plan.port_base(environ)
    for base in range(FIRST_PORT, LAST_PORT, PORTS):
        if all(is_free(base + offset) for offset in range(PORTS)):
            return base
    raise Misconfigured("No hundred ports in a row are free.")


def say(words: str) -> None:
    """One line of progress."""
    print(f"· {words}", flush=True)


__all__ = ["ROOT", "TITLE", "Server", "Stage", "say", "standing"]
