"""Dockerfile and compose file pass the tools that know them; hadolint and docker compose come from their own lock."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import msgspec
import pytest

from infra.stack.plan import ROOT
from shared.settings import Common, ControlSettings, EdgeSettings, FarmSettings, variable

PASSWORDS = dict.fromkeys(("POSTGRES_PASSWORD", "VALKEY_PASSWORD", "OBJECTS_PASSWORD"), "x" * 16)


def compose(tools: Path, *arguments: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [str(tools / "docker-compose"), "-f", str(ROOT / "infra" / "compose.yaml"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={"PATH": os.environ["PATH"], **environ})


def test_dockerfile_passes_hadolint(tools: Path) -> None:
    command = [str(tools / "hadolint"), "--failure-threshold", "info", str(ROOT / "infra" / "Dockerfile")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_compose_file_is_valid(tools: Path) -> None:
    done = compose(tools, "config", "-q", environ=PASSWORDS)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", sorted(PASSWORDS))
def test_compose_names_the_password_that_is_missing(tools: Path, name: str) -> None:
    done = compose(tools, "config", "-q", environ={key: word for key, word in PASSWORDS.items() if key != name})
    assert done.returncode != 0
    assert f"set {name}" in done.stderr


def test_compose_gives_the_edge_no_database_and_no_secrets(tools: Path) -> None:
    config = compose(tools, "config", "edge", "--no-interpolate", environ=PASSWORDS).stdout
    edge = re.split(r"^  (?=\w+:$)", config, flags=re.MULTILINE)
    (part,) = [text for text in edge if text.startswith("edge:")]
    assert "DATABASE" not in part and "/secrets" not in part


def stages() -> dict[str, str]:
    """The Dockerfile's stages by name."""
    parts = re.split(r"^FROM ", (ROOT / "infra" / "Dockerfile").read_text(), flags=re.MULTILINE)[1:]
    return {re.match(r"(\S+) AS (\S+)", part)[2]: part for part in parts}  # type: ignore[index]


@pytest.mark.parametrize(
    ("target", "kind"), [("edge", EdgeSettings), ("control", ControlSettings), ("farm", FarmSettings)]
)
def test_images_write_nowhere_in_their_read_only_tree(target: str, kind: type[Common]) -> None:
    said = stages()["base"] + stages()[target]
    folders = [field.name for field in msgspec.structs.fields(kind) if isinstance(field.default, Path)]
    assert [name for name in folders if not re.search(rf"\b{variable(name)}=/(state|secrets)\b", said)] == []


def test_mail_outlives_the_container_that_writes_it(tools: Path) -> None:
    config = compose(tools, "config", "--no-interpolate", environ=PASSWORDS).stdout
    services = re.split(r"^  (?=\w+:$)", config, flags=re.MULTILINE)
    assert [text.partition(":")[0] for text in services if "source: mail" in text] == ["worker"]
    assert "USHER_MAIL_DIR=/state/mail" in stages()["control"]


def test_images_run_as_a_user_without_rights() -> None:
    named = stages()
    assert {"edge", "control", "farm"} <= set(named)
    assert "\nUSER 10001:10001\n" in named["base"]
    for target in ("edge", "control", "farm"):
        assert named[target].startswith(f"base AS {target}")
        assert "USER" not in named[target].replace("USHER_", "") and "apt" not in named[target]
