"""As whom Postgres runs: a system user, a user namespace, or ourselves; and a cluster that changes hands."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.stack import postgres
from infra.stack.child import become
from infra.stack.postgres import NAMESPACE, Cluster, Identity
from shared.errors import Misconfigured
from tests.support.ports import free_base


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder any user may pass through, as USHER_HOME of root is; pytest's own may be closed at any moment."""
    folder = Path(tempfile.mkdtemp(prefix="usher-identity-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def identities(parent: Path) -> list[Identity]:
    """All that work on this machine, for a folder with this parent."""
    bin_folder = postgres.binaries()
    if os.geteuid() != 0:
        return [Identity()]
    asked = [Identity(user=user) for user in postgres.SYSTEM_USERS] + [Identity(prefix=NAMESPACE)]
    return [who for who in asked if postgres.works(who, bin_folder, parent)]


def serve_once(cluster: Cluster, who: Identity) -> object:
    """Start, look into the table `kept` (made when it is missing), stop."""
    bin_folder = postgres.binaries()
    postgres.make(cluster, bin_folder, who)
    spec = postgres.spec(cluster, bin_folder, who=who, environ=dict(os.environ))
    with (cluster.folder.parent / "log").open("ab") as log:
        server = subprocess.Popen(spec.argv, cwd=spec.cwd, **become(spec.user), stdout=log, stderr=log)
    try:
        return asyncio.run(_look(cluster))
    finally:
        server.send_signal(spec.stop_signal)
        assert server.wait(20) == 0


async def _look(cluster: Cluster) -> object:
    connection = await postgres.connect(cluster.admin_url)
    try:
        await connection.execute("create table if not exists kept (n int); insert into kept values (1)")
        return await connection.fetchval("select count(*) from kept")
    finally:
        await connection.close()


def test_cluster_changes_hands_when_it_runs_as_somebody_else(reachable: Path) -> None:
    cluster = Cluster(
        folder=reachable / "data", port=free_base(1), admin_password="a", password="b", settings=postgres.UNSAFE
    )
    able = identities(reachable)
    assert able
    hands = [*able, able[0]]
    assert [serve_once(cluster, who) for who in hands] == list(range(1, len(hands) + 1))


def test_words_say_what_to_do_when_nobody_can_run_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres.os, "geteuid", lambda: 0)
    with pytest.raises(Misconfigured, match="Run as a normal user"):
        postgres.identity(tmp_path, tmp_path / "missing")
