"""The tools that know Docker, Compose, Kubernetes and Prometheus, from a lock of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra import bootstrap
from infra.stack.plan import ROOT


@pytest.fixture(scope="session")
def tools() -> Path:
    """The bin folder of `.cache/infra-venv`, filled once per lock."""
    venv, lock = ROOT / ".cache" / "infra-venv", ROOT / "infra" / "requirements-infra.lock"
    with bootstrap.only_one(ROOT / ".cache" / "infra-venv.lock"):
        if not (bootstrap.venv_works(venv) and bootstrap.lock_hash(lock) in bootstrap.installed(venv)):
            bootstrap.fill(venv, lock, python=bootstrap.find_python())
            bootstrap.remember(venv, lock)
    return venv / "bin"
