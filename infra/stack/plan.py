"""The plan of a run: which processes, on which ports, each with exactly the settings it reads."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from infra.stack import valkey
from infra.stack.child import Spec
from infra.stack.home import TEMPORARY, Home
from infra.stack.mark import VARIABLE as MARK
from infra.stack.postgres import Cluster
from infra.stack.probe import Probe
from shared.errors import Misconfigured
from shared.settings import Common, ControlSettings, EdgeSettings, FarmSettings, variable

ROOT = Path(__file__).resolve().parent.parent.parent
APPS = ("control", "worker", "edge", "farm")
SERVERS = ("postgres", "valkey")
OFFSETS = {"control": 0, "edge": 1, "postgres": 2, "valkey": 3}
PRIVATE_OFFSETS = {"control": 10, "edge": 11, "worker": 12, "farm": 13}
SETTINGS: dict[str, type[Common]] = {
    "control": ControlSettings,
    "worker": ControlSettings,
    "edge": EdgeSettings,
    "farm": FarmSettings,
}
#: Of the caller's environment, what any program may need; of USHER_* only what the process reads.
PASSED_ON = (
    *("PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"),
    *("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"),
)
#: Who of the Redis users a process is.
REDIS_USERS = {"control": "control", "worker": "control", "edge": "edge", "farm": "farm"}
#: Which servers a process needs until its end.
NEEDS = {"control": SERVERS, "worker": SERVERS, "edge": ("valkey",), "farm": ("valkey",)}
#: Connections control serves at once; granian counts connections, not requests.
CONTROL_CONNECTIONS = 1024


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is run: `parts` of APPS and SERVERS, from `base` on, under `home`; addresses of one's own win."""

    home: Path
    base: int
    mark: str
    parts: tuple[str, ...]
    cluster: Cluster
    cache: valkey.Server
    environ: Mapping[str, str]

    @property
    def origin(self) -> str:
        """Where control answers on this machine."""
        return f"http://127.0.0.1:{self.ports['control']}"

    @property
    def edge_origin(self) -> str:
        """Where the edge answers on this machine."""
        return f"http://127.0.0.1:{self.ports['edge']}"

    @property
    def ports(self) -> dict[str, int]:
        """The public port of each part that has one."""
        return {name: self.base + offset for name, offset in OFFSETS.items()}

    @property
    def private_ports(self) -> dict[str, int]:
        """The private listener of each app."""
        return {name: self.base + offset for name, offset in PRIVATE_OFFSETS.items()}

    @property
    def bound(self) -> dict[int, str]:
        """Every port that will be listened on, and by whom."""
        bound = {port: name for name, port in self.ports.items() if name in self.parts}
        return bound | {port: f"{name} (private)" for name, port in self.private_ports.items() if name in self.parts}

    @property
    def database_url(self) -> str:
        """The database of control and worker."""
        return self.environ.get(variable("database_url")) or self.cluster.url

    def redis_url(self, app: str) -> str:
        """The Redis of a process, as its own user."""
        return self.environ.get(variable("redis_url")) or self.cache.url(REDIS_USERS[app])


def make(home: Home, environ: Mapping[str, str], *, mark: str, parts: tuple[str, ...] = ()) -> Plan:
    """Read the caller's environment. Raises Misconfigured for a bad port base or an unknown part."""
    base = port_base(environ)
    unknown = sorted(set(parts) - {*APPS, *SERVERS})
    if unknown:
        raise Misconfigured(f"There is no part {unknown[0]}: the parts are {', '.join((*SERVERS, *APPS))}.")
    own = {"postgres": variable("database_url"), "valkey": variable("redis_url")}
    chosen = [part for part in (*SERVERS, *APPS) if not parts or part in parts]
    passwords = home.passwords()
    return Plan(
        home=home.folder,
        base=base,
        mark=mark,
        parts=tuple(part for part in chosen if not environ.get(own.get(part, ""))),
        cluster=Cluster(
            folder=home.folder / "postgres",
            port=base + OFFSETS["postgres"],
            admin_password=passwords.postgres_admin,
            password=passwords.postgres,
        ),
        cache=valkey.Server(home.folder / "valkey", base + OFFSETS["valkey"], passwords),
        environ=environ,
    )


def port_base(environ: Mapping[str, str]) -> int:
    """USHER_PORT_BASE, 8700 where it is not set. Raises Misconfigured when it is no port."""
    text = environ.get(variable("port_base")) or "8700"
    if not text.isdigit() or not 1 <= int(text) <= 65535 - max(PRIVATE_OFFSETS.values()):
        raise Misconfigured(f"USHER_PORT_BASE is {text!r}: expected a port number, for instance 8700.")
    return int(text)


def busy(plan: Plan, taken: list[int]) -> str:
    """Words for ports that something else listens on."""
    names = ", ".join(f"{port} ({plan.bound[port]})" for port in taken)
    return (
        f"Port {names} is in use by another program: stop it, or choose other ports, "
        f"for instance USHER_PORT_BASE={plan.base + 100}."
    )


def environment(plan: Plan, app: str) -> dict[str, str]:
    """The environment of one app: what its settings name, the caller's own values winning over ours."""
    fields = SETTINGS[app].__struct_fields__
    ours = {
        "home": plan.home,
        "redis_url": plan.redis_url(app),
        "bucket": plan.home / "bucket",
        "database_url": plan.database_url,
        "secrets_dir": plan.home / "secrets",
        "public_origin": plan.origin,
        "edge_origin": plan.edge_origin,
        "mail_dir": plan.home / "mail",
        "dev_mail": True,
        "jwks_url": f"{plan.origin}/.well-known/jwks.json",
        "jwks_file": plan.home / "edge" / "jwks.json",
        "cache_disk_dir": plan.home / "edge" / "cache",
        "scratch_dir": plan.home / "scratch",
        # Whoever ends a run does not want to wait for viewers.
        "drain_s": 0,
        "stop_s": 1,
    }
    environ = base_environment(plan)
    environ |= {variable(field): str(value) for field, value in ours.items() if field in fields}
    environ |= {variable(f): plan.environ[variable(f)] for f in fields if plan.environ.get(variable(f))}
    if SETTINGS[app] is ControlSettings:
        environ |= {name: value for name, value in plan.environ.items() if name.startswith("USHER_SECRET_")}
    ports = {"private_port": plan.private_ports[app], "listen_port": plan.ports.get(app)}
    return environ | {variable(field): str(port) for field, port in ports.items() if field in fields}


def base_environment(plan: Plan) -> dict[str, str]:
    """What every child gets: the mark, and nothing of USHER_*."""
    passed = {name: plan.environ[name] for name in PASSED_ON if name in plan.environ}
    ours = {"TMPDIR": str(plan.home / TEMPORARY), "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT)}
    return passed | ours | {MARK: plan.mark}


def app_spec(plan: Plan, app: str) -> Spec:
    """One app as a child."""
    ready = (
        Probe(plan.ports["control"], "/v1/healthz") if app == "control" else Probe(plan.private_ports[app], "/readyz")
    )
    return Spec(name=app, argv=argv(plan, app), environ=environment(plan, app), cwd=ROOT, probe=ready, needs=NEEDS[app])


def argv(plan: Plan, app: str) -> tuple[str, ...]:
    """The command line of an app."""
    if app == "worker":
        return (sys.executable, "-m", "gateway.control.worker")
    if app == "farm":
        return (sys.executable, "-m", "farm")
    if app == "edge":
        return (sys.executable, "-m", "gateway.edge")
    options = {
        "--interface": "asgi",
        "--host": "127.0.0.1",
        "--port": str(plan.ports[app]),
        "--workers": "1",
        "--loop": "uvloop",
        "--backlog": str(CONTROL_CONNECTIONS),
        "--backpressure": str(CONTROL_CONNECTIONS),
        "--workers-kill-timeout": "1",
    }
    words = [word for option in options.items() for word in option]
    return (sys.executable, "-m", "granian", *words, "--no-ws", "--factory", "gateway.control.app:create_app")
