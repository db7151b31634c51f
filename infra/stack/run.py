"""`usher run`: from nothing to a table of addresses, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import msgspec

from infra.migrate import migrate
from infra.stack import accounts, demo, plan, postgres, valkey
from infra.stack.child import Spec
from infra.stack.home import Home, write_private
from infra.stack.plan import Plan
from infra.stack.probe import is_free
from infra.stack.supervisor import Say, Supervisor
from shared.errors import Misconfigured
from shared.ids import new_secret
from shared.settings import variable


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to run. `parts` empty: all; `ready_file` is written when everything answers."""

    home: Path
    environ: Mapping[str, str]
    parts: tuple[str, ...] = ()
    ready_file: Path | None = None
    people: bool = True
    demo: bool = True
    master: Path | None = None


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """What answers, for a person's table and for `--ready-file`."""

    addresses: dict[str, str]
    ports: dict[str, int]
    pids: dict[str, int]
    home: str
    log_dir: str
    mark: str
    accounts: dict[str, accounts.Account] = {}
    demo: demo.Demo | None = None
    database_url: str = ""
    redis_url: str = ""


@contextlib.asynccontextmanager
async def running(options: Options, *, say: Say) -> AsyncIterator[Ready]:
    """Everything up and answering inside the block, everything gone after it.

    Raises Misconfigured or ChildDied with words when something does not start.
    """
    home = Home(options.home)
    home.make()
    with home.locked():
        home.empty_temporary()
        home.make_secrets()
        plan_ = plan.make(home, options.environ, mark=new_secret(12), parts=options.parts)
        if taken := [port for port in plan_.bound if not is_free(port)]:
            raise Misconfigured(plan.busy(plan_, taken))
        async with Supervisor(home.log, mark=plan_.mark, say=say) as supervisor:
            await start_servers(plan_, supervisor)
            await asyncio.gather(start_apps(plan_, supervisor), settle(plan_))
            yield await fill(plan_, home, options, pids=supervisor.pids, say=say)


async def start_servers(plan_: Plan, supervisor: Supervisor) -> None:
    """Postgres and Valkey unless one's own are used, then the newest schema."""
    environ = plan.base_environment(plan_)
    specs = []
    if "valkey" in plan_.parts:
        specs.append(valkey.spec(plan_.cache, valkey.binary(), environ))
    if "postgres" in plan_.parts:
        specs.append(await asyncio.to_thread(prepare_postgres, plan_, environ))
    await supervisor.start(specs)
    if "postgres" in plan_.parts:
        await postgres.make_database(plan_.cluster)
    if {"postgres", "control", "worker"} & set(plan_.parts):
        connection = await postgres.connect(plan_.database_url)
        try:
            await migrate(connection)
        finally:
            await connection.close()


def prepare_postgres(plan_: Plan, environ: dict[str, str]) -> Spec:
    """Make the cluster when it is not there; returns the server's Spec. Blocks."""
    bin_folder = postgres.binaries()
    who = postgres.identity(bin_folder, plan_.home)
    postgres.make(plan_.cluster, bin_folder, who)
    return postgres.spec(plan_.cluster, bin_folder, who=who, environ=environ)


async def start_apps(plan_: Plan, supervisor: Supervisor) -> None:
    """Control, worker, edge and farm."""
    await supervisor.start([plan.app_spec(plan_, app) for app in plan.APPS if app in plan_.parts])


async def settle(plan_: Plan) -> None:
    """While the apps start, have Postgres write what a first start left in memory."""
    if "postgres" in plan_.parts:
        await postgres.checkpoint(plan_.cluster)


async def fill(plan_: Plan, home: Home, options: Options, *, pids: dict[str, int], say: Say) -> Ready:
    """The first accounts and the demo title, through the API as anybody would."""
    people: dict[str, accounts.Account] = {}
    shown = None
    if options.people and "control" in plan_.parts:
        people = await accounts.make(plan_, home)
        if options.demo and {"worker", "farm"} <= set(plan_.parts):
            shown = await demo.make(home, master=options.master, environ=options.environ, say=say)
    return Ready(
        addresses=addresses(plan_, shown),
        ports=plan_.ports | {f"{name}-private": port for name, port in plan_.private_ports.items()},
        pids=pids,
        home=str(home.folder),
        log_dir=str(home.log),
        mark=plan_.mark,
        accounts=people,
        demo=shown,
        database_url=plan_.database_url,
        redis_url=plan_.redis_url("control"),
    )


def addresses(plan_: Plan, shown: demo.Demo | None) -> dict[str, str]:
    """Where people and programs look, by what they find there."""
    watch = {"watch": f"{plan_.origin}{shown.watch_path}"} if shown else {}
    mail = {} if plan_.environ.get(variable("smtp_host")) else {"mail": f"{plan_.origin}/dev/mail"}
    return (
        watch
        | mail
        | {
            "browse": f"{plan_.origin}/",
            "studio": f"{plan_.origin}/studio",
            "docs": f"{plan_.origin}/docs",
            "control": plan_.origin,
            "edge": plan_.edge_origin,
        }
    )


async def run(options: Options, *, say: Say, show: Callable[[Ready], None]) -> int:
    """Run until Ctrl-C; `show` gets what answers. Returns the exit status."""
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    life = asyncio.create_task(_live(options, say=say, show=show))
    stopper = asyncio.create_task(ended.wait())
    await asyncio.wait({life, stopper}, return_when=asyncio.FIRST_COMPLETED)
    stopper.cancel()
    # The only way out of a life is this one cancellation, so that nothing cuts short its stopping.
    life.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await life
    return 0


async def _live(options: Options, *, say: Say, show: Callable[[Ready], None]) -> None:
    async with running(options, say=say) as ready:
        if options.ready_file:
            write_private(options.ready_file.absolute(), msgspec.json.format(msgspec.json.encode(ready)))
        show(ready)
        await asyncio.Event().wait()


def say(words: str) -> None:
    """One remark of the supervisor."""
    print(f"· {words}", file=sys.stderr, flush=True)
