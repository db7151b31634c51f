"""The secrets port: where keys and passwords come from, and nothing else does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from shared.errors import Misconfigured

#: HMAC key of session cookies and one-use links, at least 32 bytes.
SESSION_HMAC = "session-hmac"
#: The key set of playback tokens (`shared/keys.py`).
PLAYBACK_KEYS = "playback-keys"

#: Stripe's API key.
STRIPE_KEY = "stripe-key"
#: Secrets of Stripe's webhooks, one a line: two while one is replaced by the other.
STRIPE_WEBHOOK = "stripe-webhook"
#: Password at the mail server, where `smtp_user` names somebody.
SMTP_PASSWORD = "smtp-password"  # noqa: S105 - the name of a secret


class Secrets(Protocol):
    """Named secrets. Reading is cheap and repeated, so a rotated secret is seen without a restart."""

    def read(self, name: str) -> bytes:
        """The secret's bytes. Raises Misconfigured naming where it was looked for."""
        ...


class FolderSecrets:
    """One file a secret, as a mounted Kubernetes secret is; an environment variable USHER_SECRET_<NAME> wins."""

    def __init__(self, folder: Path, environ: Mapping[str, str] = os.environ) -> None:
        self._folder, self._environ = folder, environ

    def read(self, name: str) -> bytes:
        variable = "USHER_SECRET_" + name.upper().replace("-", "_")
        if value := self._environ.get(variable):
            return value.encode()
        try:
            return (self._folder / name).read_bytes().strip()
        except OSError as error:
            raise Misconfigured(
                f"The secret {name} is missing: set {variable} or write {self._folder / name}."
            ) from error

    def write(self, name: str, value: bytes) -> None:
        """Replace a secret's file (0600, by rename). Raises Misconfigured where the folder is read-only."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            beside = self._folder / f".{name}.new"
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(value)
            beside.replace(self._folder / name)
        except OSError as error:
            raise Misconfigured(f"The secret {name} cannot be written to {self._folder}: {error.strerror}.") from error
