"""Secrets come from a folder or the environment, and are written where only we read."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from shared.errors import Misconfigured
from shared.secrets import FolderSecrets


def test_written_secret_reads_back_and_is_private(tmp_path: Path) -> None:
    secrets = FolderSecrets(tmp_path / "s", {})
    secrets.write("session-hmac", b"one")
    secrets.write("session-hmac", b"two")
    assert secrets.read("session-hmac") == b"two"
    assert stat.S_IMODE((tmp_path / "s" / "session-hmac").stat().st_mode) == 0o600
    assert [p.name for p in (tmp_path / "s").iterdir()] == ["session-hmac"]


def test_environment_wins(tmp_path: Path) -> None:
    assert FolderSecrets(tmp_path, {"USHER_SECRET_SESSION_HMAC": "env"}).read("session-hmac") == b"env"


def test_missing_secret_says_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="USHER_SECRET_PLAYBACK_KEYS"):
        FolderSecrets(tmp_path, {}).read("playback-keys")
