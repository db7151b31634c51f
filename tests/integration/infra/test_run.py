"""`usher run` with the real Postgres and Valkey: starts, ends, dies, starts again."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from infra.stack import mark, plan
from infra.stack.home import Home
from infra.stack.mark import carriers
from infra.stack.probe import is_free
from infra.stack.valkey import Server
from tests.support.ports import free_base
from tests.support.postgres import ask
from tests.support.stack import Running, running_stack, start, stop, wait_ready

SERVERS = ("--only", "postgres,valkey")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_stack(tmp_path_factory.mktemp("run"), demo=False, arguments=SERVERS) as running:
        yield running


async def test_database_is_migrated_and_its_owner_no_superuser(stack: Running) -> None:
    assert await ask(stack.database_url, "select count(*) from migration") != 0
    assert await ask(stack.database_url, "show is_superuser") == "off"


async def test_wrong_password_is_refused_by_postgres(stack: Running) -> None:
    wrong = stack.database_url.replace("usher:", "usher:x", 1)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(wrong)


def server_of(stack: Running) -> Server:
    return Server(Path(stack.home) / "valkey", stack.ports["valkey"], Home(Path(stack.home)).passwords())


async def test_each_redis_user_reaches_its_own_keys_alone(stack: Running) -> None:
    server = server_of(stack)
    clients = {user: Redis.from_url(server.url(user)) for user in ("control", "edge", "farm")}
    try:
        assert await clients["control"].set("anything", "1")
        assert await clients["edge"].zadd("seat:{a}", {"sid": 1}) == 1
        assert await clients["farm"].set("farm:lease:probe:j", "1")
        for user, key in (("edge", "farm:lease:probe:j"), ("edge", "anything"), ("farm", "seat:{a}")):
            with pytest.raises(NoPermissionError):
                await clients[user].set(key, "2")
        for client in clients.values():
            with pytest.raises((NoPermissionError, ResponseError)):
                await client.config_get("*")
    finally:
        for client in clients.values():
            await client.aclose()


async def test_nobody_gets_into_redis_without_a_password(stack: Running) -> None:
    client: Redis = Redis.from_url(f"redis://127.0.0.1:{stack.ports['valkey']}/0")
    with pytest.raises(AuthenticationError):
        await client.ping()
    await client.aclose()


def test_every_file_with_a_password_is_private(stack: Running) -> None:
    private = [Path(stack.home) / name for name in ("passwords.json", "valkey/users.acl")]
    private += [Path(stack.home) / "secrets" / name for name in ("session-hmac", "playback-keys")]
    private.append(Path(stack.home).parent / "ready.json")
    assert {path.name: oct(path.stat().st_mode & 0o777) for path in private} == {p.name: "0o600" for p in private}


def test_servers_listen_on_loopback_alone(stack: Running) -> None:
    for name in ("postgres", "valkey"):
        host = f"127.0.0.1:{stack.ports[name]}"
        assert f"{127 | 0 << 8 | 0 << 16 | 1 << 24:08X}:{stack.ports[name]:04X}" in Path("/proc/net/tcp").read_text(), (
            host
        )
        assert f"00000000:{stack.ports[name]:04X}" not in Path("/proc/net/tcp").read_text()


def test_killed_servers_come_back(stack: Running) -> None:
    for name in ("valkey", "postgres"):
        os.kill(stack.pids[name], signal.SIGKILL)
    asyncio.run(_answers(stack))
    said = stack.output.read_text()
    assert "valkey was ended by SIGKILL" in said and "postgres was ended by SIGKILL" in said


async def _answers(stack: Running) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            assert await ask(stack.database_url, "select 1") == 1
            client: Redis = Redis.from_url(stack.redis_url)
            await client.ping()
            await client.aclose()
            return
        except (OSError, asyncpg.PostgresError, ResponseError, ConnectionError):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        except Exception as error:
            assert type(error).__module__.startswith("redis") and time.monotonic() < deadline
            await asyncio.sleep(0.05)


def test_data_is_there_after_ctrl_c_and_after_kill(tmp_path: Path) -> None:
    def begin() -> tuple[object, Running]:
        process, ready = start(tmp_path, demo=False, environ={}, arguments=SERVERS)
        return process, wait_ready(process, ready)

    process, first = begin()
    asyncio.run(_write(first))
    assert stop(process) == 0  # type: ignore[arg-type]
    assert carriers(first.mark) == []
    assert is_free(first.ports["postgres"]) and is_free(first.ports["valkey"])

    process, second = begin()
    assert asyncio.run(_read(second)) == (7, b"7")
    os.kill(second.supervisor, signal.SIGKILL)
    process.wait()  # type: ignore[attr-defined]
    deadline = time.monotonic() + 60
    while carriers(second.mark):
        assert time.monotonic() < deadline, "processes are left"
        time.sleep(0.02)

    process, third = begin()
    assert asyncio.run(_read(third)) == (7, b"7")
    assert stop(process) == 0  # type: ignore[arg-type]
    assert third.mark != second.mark != first.mark


async def _write(running: Running) -> None:
    connection = await asyncpg.connect(running.database_url)
    await connection.execute("create table kept (n int); insert into kept values (7)")
    await connection.close()
    client: Redis = Redis.from_url(running.redis_url)
    await client.set("kept", 7)
    await client.aclose()


async def _read(running: Running) -> tuple[object, object]:
    client: Redis = Redis.from_url(running.redis_url)
    try:
        return await ask(running.database_url, "select n from kept"), await client.get("kept")
    finally:
        await client.aclose()


def test_own_servers_are_used_when_their_addresses_are_given(stack: Running, tmp_path: Path) -> None:
    own = {"USHER_DATABASE_URL": stack.database_url, "USHER_REDIS_URL": stack.redis_url}
    with running_stack(tmp_path, demo=False, environ=own, arguments=SERVERS) as running:
        assert running.pids == {}
        assert (running.database_url, running.redis_url) == (stack.database_url, stack.redis_url)
    assert not (tmp_path / "state" / "postgres").exists()


@pytest.mark.parametrize("part", ["postgres", "valkey"])
def test_busy_port_stops_the_start_with_words(tmp_path: Path, part: str) -> None:
    base = free_base()
    with socket.create_server(("127.0.0.1", base + plan.OFFSETS[part])):
        environ = {"USHER_PORT_BASE": str(base)}
        process, ready = start(tmp_path, demo=False, environ=environ, arguments=SERVERS)
        assert process.wait(60) == 1
    said = (tmp_path / "output.txt").read_text()
    assert f"Port {base + plan.OFFSETS[part]} ({part}) is in use by another program" in said
    assert "Traceback" not in said
    assert not ready.exists()


def test_second_run_in_the_same_folder_is_refused_with_words(stack: Running, tmp_path: Path) -> None:
    environ = {"USHER_HOME": stack.home}
    process, _ = start(tmp_path, demo=False, environ=environ, arguments=SERVERS)
    assert process.wait(60) == 1
    assert f"(process {stack.supervisor})" in (tmp_path / "output.txt").read_text()


def test_database_of_another_major_is_refused_with_words(tmp_path: Path) -> None:
    with running_stack(tmp_path, demo=False, arguments=SERVERS) as running:
        folder = Path(running.home) / "postgres"
    (folder / "PG_VERSION").write_text("13\n")
    process, _ = start(tmp_path, demo=False, environ={}, arguments=SERVERS)
    assert process.wait(60) == 1
    assert "was made by Postgres 13" in (tmp_path / "output.txt").read_text()
    assert mark.carriers(running.mark) == []
