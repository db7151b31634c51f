"""A worker tells and hears on, whatever its broker, its card or its disk answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from pynvml import NVMLError
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from farm import app, ear, gpu, heartbeat, scratch
from farm.__main__ import _State
from farm.app import CountingRequest
from farm.encoders import X264
from farm.engine import Engine
from farm.heartbeat import Heart
from shared import jobs
from shared.need import Needs, Offer
from tests.support import farm as farms
from tests.support import media
from tests.support.farm import JOB, TITLE
from tests.support.farm_process import until, worker
from tests.support.patience import until as once

ENGINE = Engine("", "test", X264)


class Once:
    """Fails at its first call."""

    def __init__(self, error: Exception, answer: object) -> None:
        self._error, self._answer, self.calls = error, answer, 0

    def __call__(self, *_: object) -> object:
        self.calls += 1
        if self.calls == 1:
            raise self._error
        return self._answer


async def test_a_worker_tells_on_though_card_and_disk_failed_once(
    tmp_path: Path, redis: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    card, disk, heard = Once(NVMLError(1), []), Once(RuntimeError("of no kind that is known"), 0), list[str]()
    monkeypatch.setattr(heartbeat, "EVERY_S", 0.01)
    monkeypatch.setattr(heartbeat, "connect", lambda _: redis)
    monkeypatch.setattr(gpu, "watch", card)
    monkeypatch.setattr(scratch, "used_bytes", disk)
    heart = Heart(farms.settings(tmp_path, redis_url), ENGINE, lambda told, _: heard.append(told))

    beating = asyncio.create_task(heart._beat())
    await until(lambda: disk.calls > 1)
    beating.cancel()

    assert card.calls > 2
    assert len(heard) >= 2
    assert len(await Needs(redis, lease_s=15).workers()) == 1


async def test_a_worker_is_idle_that_held_nothing_when_it_was_looked_at_lately(
    tmp_path: Path, redis: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "connect", lambda _: redis)
    settings, looked = farms.settings(tmp_path, redis_url), asyncio.Event()
    heart = Heart(settings, ENGINE, lambda *_: looked.set())
    assert not heart.is_idle, "nobody looked"

    async def look() -> None:
        looked.clear()
        beating = asyncio.create_task(heart._beat())
        await asyncio.wait_for(looked.wait(), 10)
        beating.cancel()

    await look()
    assert heart.is_idle
    with monkeypatch.context() as patch:
        patch.setattr(heartbeat, "EVERY_S", 0.0)
        assert not heart.is_idle, "that was long ago"
    needs, ticket = Needs(redis, lease_s=15), jobs.ChunkTicket(JOB, TITLE, "v1", "0")
    await needs.offer(Offer("v1", "cpu", "seller", 0, 1.0, 0, {"0": ticket}, {"0": 1.0}))
    assert await needs.take(f"{heartbeat.name_of(settings)}/1", ("cpu",), memory_bytes=1) is not None
    await look()
    assert not heart.is_idle, "it works"


def test_the_ear_listens_on_whatever_a_look_raises(
    tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, looks = _State(farms.settings(tmp_path, redis_url), ENGINE), list[int]()

    def look(*_: object, **__: object) -> bool:
        looks.append(1)
        if len(looks) < 3:
            raise KeyError("of a broker's client")
        state.stopping = True
        return False

    monkeypatch.setattr(ear, "EVERY_S", 0.0)
    monkeypatch.setattr(ear.Ear, "is_deaf", look)
    state._listen()

    assert len(looks) == 3


@pytest.mark.parametrize("how", ["acknowledge", "reject"])
@pytest.mark.parametrize("error", [OSError("gone"), ResponseError("READONLY You can't write")], ids=["away", "refuses"])
def test_a_ticket_that_the_broker_does_not_settle_ends_the_connection(
    how: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def settle(*_: object, **__: object) -> None:
        raise error

    soon = list[Callable[[], None]]()
    monkeypatch.setattr(app._LOOP, "_consumer", SimpleNamespace(call_soon=soon.append))
    request = CountingRequest.__new__(CountingRequest)
    monkeypatch.setattr(request, "_message", SimpleNamespace(ack=settle, reject=settle), raising=False)

    getattr(request, how)()
    getattr(request, how)()

    (raised,) = soon
    with pytest.raises(ConnectionError, match=str(error)):
        raised()


async def test_a_worker_hears_on_though_the_broker_refused_what_it_asked(
    tmp_path: Path, redis: Redis, redis_url: str
) -> None:
    async with worker(tmp_path, redis, redis_url) as farm:
        process = await farm.start()
        await once(farm.needs.workers)
        await redis.set("cpu", "no list of tickets")
        await until(lambda: "Connection to broker lost" in (tmp_path / "log").read_text() or process.returncode)
        await redis.delete("cpu")

        assert process.returncode is None
        assert (await farm.planned(media.plain())).version
