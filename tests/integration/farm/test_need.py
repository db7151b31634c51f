"""The need on a real Valkey: who gets which piece next, who holds it, and what a Redis that forgot costs."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from redis.asyncio import Redis

from shared.jobs import ChunkTicket, Ticket
from shared.need import (
    BULK,
    FIRST,
    LEASES,
    NORMAL,
    OPEN,
    SPENT,
    GpuState,
    Needs,
    Offer,
    Taken,
    WorkerState,
    of_plan,
    over,
    raise_need,
    score,
)

MEMORY = 1 << 40


@pytest.fixture
def needs(redis: Redis) -> Needs:
    """The need."""
    return Needs(redis, lease_s=60)


async def lapse(redis: Redis, one: Taken) -> None:
    """Let the lease on a piece end."""
    assert await redis.zadd(LEASES, {one.work: 1}, xx=True, ch=True) == 1


def offered(plan: str, *scores: float, seller: str = "s", media_s: float = 10, **about: object) -> Offer:
    """Pieces "0", "1", … of a plan."""
    chunks = [str(number) for number in range(len(scores))]
    work: dict[str, Ticket] = {chunk: ChunkTicket(f"job_{plan}", "ttl_1", plan, chunk) for chunk in chunks}
    wanted = dict(zip(chunks, scores, strict=True))
    rest: dict[str, object] = {"queue": "cpu", "memory_bytes": 1, "queued_ms": 0, **about}
    return Offer(plan=plan, seller=seller, media_s=media_s, work=work, scores=wanted, **rest)  # type: ignore[arg-type]


async def taken(needs: Needs, owner: str = "w/1", queues: tuple[str, ...] = ("cpu",)) -> Taken:
    """The next piece, which is there."""
    found = await needs.take(owner, queues, memory_bytes=MEMORY)
    assert found is not None
    return found


async def order(needs: Needs, count: int) -> list[str]:
    return [(await taken(needs)).work for _ in range(count)]


async def test_classes_go_before_each_other_and_positions_within_a_plan(needs: Needs, redis: Redis) -> None:
    await needs.offer(offered("a", score(NORMAL, 0), score(NORMAL, 1), score(BULK, 2)))
    await needs.offer(offered("b", score(BULK, 0), score(FIRST, 1), score(NORMAL, 2), seller="t"))
    assert await raise_need(redis, "a", "2", now_ms=5) is False

    found = await order(needs, 6)

    assert found[:2] == ["a 2", "b 1"]
    assert found[-1] == "b 0"
    assert found.index("a 0") < found.index("a 1")
    assert await needs.take("w/1", ("cpu",), memory_bytes=MEMORY) is None


async def test_a_higher_class_goes_first_though_its_seller_got_more(needs: Needs) -> None:
    await needs.offer(offered("a", score(NORMAL), score(NORMAL, 1), seller="much"))
    await order(needs, 2)
    await needs.offer(offered("b", score(NORMAL), seller="nothing"))
    await needs.offer(offered("c", score(FIRST), seller="much"))

    assert await order(needs, 2) == ["c 0", "b 0"]


async def test_what_viewers_wait_for_goes_first_and_only_what_is_offered_is_raised(needs: Needs, redis: Redis) -> None:
    await needs.offer(offered("a", *(score(NORMAL, n) for n in range(3))))
    for chunk, now_ms in (("1", 100), ("2", 200), ("9", 300)):
        await raise_need(redis, "a", chunk, now_ms=now_ms)

    assert (await order(needs, 3))[-1] == "a 0"
    assert await redis.zscore(of_plan("a"), "9") is None


async def test_a_seller_with_five_hundred_titles_does_not_starve_another(needs: Needs) -> None:
    for number in range(500):
        await needs.offer(offered(f"a{number}", score(FIRST), score(NORMAL, 1), seller="many", queued_ms=number))
    assert (await taken(needs)).plan == "a0"
    await needs.offer(offered("b", score(FIRST), score(FIRST, 1), seller="one", queued_ms=9999))

    assert (await taken(needs)).plan == "b"
    assert Counter(work[0] for work in await order(needs, 2)) == {"a": 1, "b": 1}


async def test_sellers_get_the_same_seconds_of_their_titles_however_long_pieces_are(needs: Needs) -> None:
    await needs.offer(offered("a", *(score(NORMAL, n) for n in range(40)), seller="long", media_s=60))
    await needs.offer(offered("b", *(score(NORMAL, n) for n in range(40)), seller="short", media_s=20))

    found = Counter(work[0] for work in await order(needs, 40))

    assert found["b"] == 3 * found["a"]


async def test_who_comes_late_gets_no_more_than_a_share(needs: Needs) -> None:
    await needs.offer(offered("a", *(score(NORMAL, n) for n in range(60)), seller="early"))
    await order(needs, 20)
    await needs.offer(offered("b", *(score(NORMAL, n) for n in range(60)), seller="late"))

    found = Counter(work[0] for work in await order(needs, 20))

    assert abs(found["a"] - found["b"]) <= 1


async def test_work_goes_to_whom_it_fits(needs: Needs) -> None:
    await needs.offer(offered("gpu", score(FIRST), queue="gpu"))
    await needs.offer(offered("large", score(NORMAL), memory_bytes=MEMORY + 1))
    await needs.offer(offered("usual", score(BULK)))

    assert (await taken(needs)).plan == "usual"
    assert await needs.take("w/1", ("cpu",), memory_bytes=MEMORY) is None
    assert (await taken(needs, queues=("gpu", "cpu"))).plan == "gpu"
    assert await needs.take("w/1", ("cpu",), memory_bytes=MEMORY + 1) is not None


async def test_plans_that_fit_nobody_do_not_hide_those_behind_them(needs: Needs, redis: Redis) -> None:
    await needs.offer(offered("large", score(NORMAL), memory_bytes=MEMORY + 1))
    await redis.zadd(OPEN, {f"waits{number}": number for number in range(5000)})
    await needs.offer(offered("small", score(NORMAL), queued_ms=6000))

    assert (await taken(needs)).plan == "small"


async def test_sellers_are_forgotten_once_others_got_as_much(needs: Needs, redis: Redis) -> None:
    for number in range(50):
        await needs.offer(offered(f"p{number}", score(NORMAL), score(NORMAL, 1), seller=f"s{number}"))
    for _ in range(100):
        await taken(needs)

    for number in range(50):
        await needs.withdraw(f"p{number}")

    ahead = {seller: float(spent) for seller, spent in (await redis.hgetall(SPENT)).items()}
    served = ahead.pop(b"")
    assert all(spent > served for spent in ahead.values())
    await needs.offer(offered("more", *(score(NORMAL, n) for n in range(3)), seller="s0"))
    await order(needs, 3)
    await needs.withdraw("more")
    assert set(await redis.hgetall(SPENT)) == {b"", b"s0"}


async def test_a_lease_that_ended_gives_the_piece_back_and_its_owner_has_no_say(needs: Needs, redis: Redis) -> None:
    await needs.offer(offered("a", score(NORMAL)))
    first = await taken(needs, "dead/1")
    assert await needs.leased([first.work]) == {first.work: True}
    await lapse(redis, first)
    assert await needs.leased([first.work]) == {first.work: False}

    again = await taken(needs, "alive/1")

    assert again == first
    assert not await needs.renew("dead/1", first.work)
    assert not await needs.release("dead/1", first.work, "back")
    assert await needs.renew("alive/1", again.work)
    assert await needs.owners() == {again.work: "alive/1"}
    assert await needs.release("alive/1", again.work, "done")
    assert await needs.held([again.work]) == {again.work: False}
    assert await redis.zcard(LEASES) == 0


async def test_who_was_away_keeps_its_work_when_nobody_took_it(needs: Needs, redis: Redis) -> None:
    await needs.offer(offered("a", score(NORMAL)))
    mine = await taken(needs, "slow/1")
    await lapse(redis, mine)
    assert await needs.reclaim() == [mine.work]
    assert await needs.held([mine.work]) == {mine.work: True}

    assert await needs.renew("slow/1", mine.work)

    assert await needs.take("other/1", ("cpu",), memory_bytes=MEMORY) is None


async def test_a_raised_need_stays_when_its_worker_dies_and_when_it_is_offered_again(
    needs: Needs, redis: Redis
) -> None:
    wishes = offered("a", score(NORMAL), score(NORMAL, 1), score(NORMAL, 2))
    await needs.offer(wishes)
    await raise_need(redis, "a", "2", now_ms=5)
    first = await taken(needs)
    assert first.chunk == "2"
    assert await needs.offer(wishes) == 0, "what is leased or waits is not offered twice"
    await lapse(redis, first)

    assert (await taken(needs)).chunk == "2"


async def test_what_is_withdrawn_is_not_taken_and_viewers_need_not_wait(needs: Needs, redis: Redis) -> None:
    await needs.offer(offered("a", score(NORMAL), score(NORMAL, 1)))
    mine = await taken(needs)
    await needs.withdraw("a", is_over=True)

    assert await needs.release("w/1", mine.work, "back")
    assert await needs.take("w/1", ("cpu",), memory_bytes=MEMORY) is None
    assert await raise_need(redis, "a", "1", now_ms=5) is True
    assert await redis.exists(of_plan("a")) == 0
    await needs.offer(offered("a", score(NORMAL)))
    assert await redis.exists(over("a")) == 0


async def test_load_is_told_by_queue_in_pieces_and_seconds(needs: Needs) -> None:
    await needs.offer(offered("a", *(score(NORMAL, n) for n in range(4)), media_s=30))
    await needs.offer(offered("g", score(NORMAL), queue="gpu", media_s=7))
    await taken(needs)

    load = await needs.load()

    assert (load.waiting, load.running) == ({"cpu": 3, "gpu": 1}, {"cpu": 1, "gpu": 0})
    assert (load.waiting_s, load.running_s) == ({"cpu": 90, "gpu": 7}, {"cpu": 30, "gpu": 0})


async def test_workers_are_known_by_name_with_what_was_said_of_them(needs: Needs) -> None:
    card = GpuState(0, "L4", 1 << 30, 5)
    await needs.tell(WorkerState("b", ("gpu", "cpu"), "nvenc", "9", (card,), ("a 0",), 3.5))
    await needs.tell(WorkerState("a", ("cpu",), "x264", "5"))
    await needs.cordon("a", "drain")

    found = await needs.workers()

    assert [(state.name, state.cordoned) for state in found] == [("a", "drain"), ("b", "")]
    assert found[1].gpus == (card,)
    await needs.offer(offered("a", score(NORMAL)))
    assert await needs.take("a/1", ("cpu",), memory_bytes=MEMORY) is None
    await needs.cordon("a", "")
    assert await needs.take("a/1", ("cpu",), memory_bytes=MEMORY) is not None


async def test_the_word_to_leave_ends_with_the_life_it_was_for_and_the_word_to_rest_does_not(
    needs: Needs, redis: Redis
) -> None:
    await needs.offer(offered("a", score(NORMAL)))
    first, second = (WorkerState("pod", ("cpu",), "x264", "5", since=since) for since in (1.5, 2.5))
    await needs.tell(first)
    await needs.cordon("pod", "drain")
    assert await needs.cordoned("pod", since=first.since) == "drain"
    assert await needs.take("pod/1", ("cpu",), memory_bytes=MEMORY) is None

    await needs.tell(second)

    assert [state.cordoned for state in await needs.workers()] == [""]
    assert await needs.cordoned("pod", since=second.since) == ""
    assert await needs.take("pod/2", ("cpu",), memory_bytes=MEMORY) is not None
    await needs.cordon("pod", "cordon")
    await needs.leave(second)
    assert await needs.workers() == []
    assert await needs.cordoned("pod", since=3.5) == "cordon"
    assert await redis.ttl("farm:cordon:pod") > 0


async def test_a_worker_that_leaves_takes_its_own_word_along_and_nobody_elses(needs: Needs, redis: Redis) -> None:
    first, second = (WorkerState("pod", ("cpu",), "x264", "5", since=since) for since in (1.5, 2.5))
    await needs.tell(second)
    await needs.cordon("pod", "drain")

    await needs.leave(first)
    assert [state.cordoned for state in await needs.workers()] == ["drain"]

    await needs.leave(second)
    assert await redis.keys("farm:*") == []


async def test_many_workers_at_once_never_get_the_same_piece(needs: Needs) -> None:
    for number in range(50):
        await needs.offer(offered(f"p{number}", *(score(NORMAL, n) for n in range(10)), seller=f"s{number % 7}"))
    seen: list[str] = []

    async def work(name: str) -> None:
        while (found := await needs.take(f"{name}/1", ("cpu",), memory_bytes=MEMORY)) is not None:
            seen.append(found.work)
            await needs.release(f"{name}/1", found.work, "done")

    await asyncio.gather(*(work(f"w{number}") for number in range(16)))

    assert len(seen) == len(set(seen)) == 500
