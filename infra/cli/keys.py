"""`usher keys rotate`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import msgspec
from rich.console import Console

from infra.cli.session import home
from shared import keys
from shared.secrets import PLAYBACK_KEYS, FolderSecrets
from shared.settings import variable


def secrets() -> FolderSecrets:
    """The secrets of this machine: USHER_SECRETS_DIR, else those in USHER_HOME."""
    return FolderSecrets(Path(os.environ.get(variable("secrets_dir")) or home().secrets))


def rotate(arguments: argparse.Namespace) -> int:
    """Move the three slots on; control signs with the new current at once, edges knew it as next."""
    folder = secrets()
    new = keys.new_key_set() if arguments.new else keys.rotate(keys.parse_key_set(folder.read(PLAYBACK_KEYS)))
    folder.write(PLAYBACK_KEYS, msgspec.json.encode(new))
    Console(highlight=False).print(f"{new.current.kid} signs now, {new.next.kid} is next.")
    return 0
