"""The tools that know Docker, Compose, Kubernetes and Prometheus, an S3 server for pods, and `usher` as it is typed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from infra import bootstrap
from infra.cli import main
from infra.stack.plan import ROOT
from tests.support.s3 import S3Server, moto

#: Status, output and errors of a command.
Said = Callable[..., Coroutine[Any, Any, tuple[int, str, str]]]


@pytest.fixture(scope="session")
def tools() -> Path:
    """The bin folder of `.cache/infra-venv`, filled once per lock."""
    venv, lock = ROOT / ".cache" / "infra-venv", ROOT / "infra" / "requirements-infra.lock"
    with bootstrap.only_one(ROOT / ".cache" / "infra-venv.lock"):
        if not (bootstrap.venv_works(venv) and bootstrap.lock_hash(lock) in bootstrap.installed(venv)):
            bootstrap.fill(venv, lock, python=bootstrap.find_python())
            bootstrap.remember(venv, lock)
    return venv / "bin"


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server of moto."""
    with moto(tmp_path_factory.mktemp("objects")) as server:
        yield server


@pytest.fixture
def usher(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Said:
    """Runs `usher`; its status and what it said."""
    monkeypatch.setenv("COLUMNS", "200")

    async def run(*arguments: str) -> tuple[int, str, str]:
        status = await asyncio.to_thread(main, list(arguments))
        said = capsys.readouterr()
        return status, said.out, said.err

    return run
