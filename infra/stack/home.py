"""USHER_HOME: the one folder that holds all state of a machine, its passwords and its secrets."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from shared import keys
from shared.errors import Misconfigured
from shared.ids import new_secret
from shared.secrets import PLAYBACK_KEYS, SESSION_HMAC, FolderSecrets

#: What the processes of one run leave behind when they are killed; empty at each start.
TEMPORARY = "tmp"
#: What lies in it; nobody else may look into any of them.
FOLDERS = ("log", "secrets", "bucket", "edge", "mail", "scratch", TEMPORARY)


class Passwords(msgspec.Struct, frozen=True):
    """Of the servers that `run` starts, drawn at the first start."""

    postgres_admin: str = msgspec.field(default_factory=new_secret)
    postgres: str = msgspec.field(default_factory=new_secret)
    valkey_control: str = msgspec.field(default_factory=new_secret)
    valkey_edge: str = msgspec.field(default_factory=new_secret)
    valkey_farm: str = msgspec.field(default_factory=new_secret)


class Session(msgspec.Struct, frozen=True):
    """One account the `usher` CLI may act as on this machine: a bearer session, never a password."""

    username: str
    bearer: str


class Credentials(msgspec.Struct, frozen=True):
    """What the CLI finds in USHER_HOME: where control answers, and sessions by role."""

    origin: str
    sessions: dict[str, Session] = {}


class Home:
    """Paths under USHER_HOME and the small files kept there, 0600."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    @property
    def log(self) -> Path:
        """One log file a child."""
        return self.folder / "log"

    @property
    def secrets(self) -> Path:
        """One file a secret (`shared/secrets.py`)."""
        return self.folder / "secrets"

    @property
    def credentials(self) -> Path:
        """The CLI's sessions."""
        return self.folder / "credentials.json"

    def make(self) -> None:
        """Make the folder and those in it, private; root's may be passed through, since Postgres is not root."""
        if not self.folder.exists():
            self.folder.mkdir(parents=True, mode=0o711 if os.geteuid() == 0 else 0o700)
        for name in FOLDERS:
            (self.folder / name).mkdir(exist_ok=True, mode=0o700)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for one supervisor. Raises Misconfigured while another one runs in it."""
        with (self.folder / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                file.seek(0)
                raise Misconfigured(
                    f"Usher runs in {self.folder} already (process {file.read().strip() or '?'}): "
                    "stop it, or set USHER_HOME to another folder."
                ) from error
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield

    def empty_temporary(self) -> None:
        """Drop what the last run left behind; only for who holds the lock."""
        shutil.rmtree(self.folder / TEMPORARY)
        (self.folder / TEMPORARY).mkdir(mode=0o700)

    def passwords(self) -> Passwords:
        """The servers' passwords, drawn when there are none yet."""
        path = self.folder / "passwords.json"
        if not path.exists():
            write_private(path, msgspec.json.encode(Passwords()))
        return msgspec.json.decode(path.read_bytes(), type=Passwords)

    def make_secrets(self) -> None:
        """Draw the secrets that are missing."""
        make_secrets(self.secrets)

    def read_credentials(self) -> Credentials | None:
        """The CLI's sessions, None before the first run."""
        if not self.credentials.exists():
            return None
        return msgspec.json.decode(self.credentials.read_bytes(), type=Credentials)

    def write_credentials(self, credentials: Credentials) -> None:
        """Keep sessions for the CLI."""
        write_private(self.credentials, msgspec.json.encode(credentials))


def make_secrets(folder: Path) -> None:
    """Draw the secrets that `folder` lacks: the session key and the playback key set."""
    secrets = FolderSecrets(folder, {})
    if not (folder / SESSION_HMAC).exists():
        secrets.write(SESSION_HMAC, new_secret(48).encode())
    if not (folder / PLAYBACK_KEYS).exists():
        secrets.write(PLAYBACK_KEYS, msgspec.json.encode(keys.new_key_set()))


def write_private(path: Path, data: bytes) -> None:
    """Replace a file that only its owner may read."""
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    beside.replace(path)
