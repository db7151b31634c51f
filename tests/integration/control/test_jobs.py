"""Jobs through the real app and database: every order of messages, what the reaper mends, what people see."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.control.jobs import actions
from shared import jobs as farm
from shared.jobs import ChunkDone, Failed, Progress, Replan, Started
from shared.need import BULK, CLASS, FIRST
from tests.support.control import Control, register
from tests.support.jobs import begun, leased, messages_of, offers, reap, sent, withdrawn
from tests.support.titles import Desk, planned_of, ready_of, say


async def test_queue_makes_the_title_processing_and_sends_a_probe(control: Control, seller: Desk) -> None:
    title, job = await begun(seller)
    assert (await seller.ask("GET", f"titles/{title}"))["state"] == "processing"
    shown = await seller.ask("GET", f"jobs/{job}")
    assert (shown["state"], shown["progress"], shown["title"]) == ("queued", 0.0, title)
    assert await sent(control) == ["probe"]
    assert [e["subject"] for e in await control.events("transcode.queued")] == [job]


async def test_newer_master_cancels_the_older_job(control: Control, seller: Desk) -> None:
    title, old = await begun(seller)
    new = (await seller.queue(title)).id
    await say(control, ready_of(old, edition="old"))
    await say(control, ready_of(new, edition="new"))
    states = {j["id"]: j["state"] for j in (await seller.ask("GET", f"titles/{title}/jobs"))["items"]}
    assert states == {old: "cancelled", new: "done"}
    rows = await control.rows("select edition from title where id = $1", title)
    assert rows == [{"edition": "new"}]


async def test_job_goes_its_way_when_all_messages_come(control: Control, seller: Desk) -> None:
    title, job = await begun(seller)
    await say(control, planned_of(job))
    assert await sent(control) == ["probe", "chunk:0", "chunk:sound", "chunk:poster"]
    await say(control, Started(job=job, chunk="0", attempt="a1"))
    await say(control, Progress(job=job, chunk="0", renditions={"720": 0.5, "360": 0.25}, speed=3.0))
    await say(control, Progress(job=job, chunk="0", renditions={"720": 0.4}, speed=3.0))
    shown = await seller.ask("GET", f"jobs/{job}")
    assert shown["state"] == "encoding" and shown["renditions"] == {"720": 0.5, "360": 0.25, "audio-0": 0.0}
    for chunk in ("0", "sound", "poster"):
        await say(control, ChunkDone(job=job, chunk=chunk))
    assert (await seller.ask("GET", f"jobs/{job}"))["state"] == "finalising"
    assert (await sent(control))[-1] == "finalise"
    await say(control, ready_of(job))
    shown = await seller.ask("GET", f"jobs/{job}")
    assert (shown["state"], shown["progress"], shown["attempts"]) == ("done", 1.0, 1)
    made = await seller.ask("GET", f"titles/{title}")
    assert (made["state"], made["ceilings"], made["duration_s"]) == ("ready", ["720", "360"], 10.0)
    assert made["poster_url"].startswith(f"/v1/titles/{title}/poster.jpg")


async def test_progress_of_a_plan_that_was_given_up_is_not_shown(control: Control, seller: Desk) -> None:
    _, job = await begun(seller)
    await say(control, planned_of(job))
    await say(control, planned_of(job, "v2"))

    await say(control, Progress(job, "0", {"720": 0.9}, 3.0, "v1"))
    assert (await seller.ask("GET", f"jobs/{job}"))["renditions"]["720"] == 0

    await say(control, Progress(job, "0", {"720": 0.5}, 3.0, "v2"))
    assert (await seller.ask("GET", f"jobs/{job}"))["renditions"]["720"] == 0.5


async def test_any_order_of_messages_makes_the_title_ready_once(control: Control, seller: Desk) -> None:
    """500 random orders with repetitions, each on a job of its own, closed by the farm's last word."""
    title = (await seller.title())["id"]
    orders: list[tuple[int, ...]] = []

    @settings(max_examples=500, database=None, deadline=None)
    @given(st.lists(st.integers(0, 27), min_size=1, max_size=12))
    def collect(order: list[int]) -> None:
        orders.append(tuple(order))

    collect()
    for order in orders[:500]:
        job = (await seller.queue(title)).id
        said = messages_of(job)
        random.Random(0).shuffle(said)
        async with control.wiring["begin"]() as unit:
            ports = {"jobs": unit.jobs, "titles": unit.catalogue, "outbox": unit.outbox, "clock": control.clock}
            for number, n in enumerate(order):
                await actions.apply(said[n], entry=f"{job}-{number}", **ports)
        row = (await control.rows("select state, version from job where id = $1", job))[0]
        version = row["version"] or "v1"
        for _ in range(2):
            await say(control, ready_of(job, version, f"e-{version}"))
        row = (await control.rows("select state, last_error from job where id = $1", job))[0]
        completed = "select type from outbox where subject = $1 and type = 'transcode.completed'"
        done = await control.rows(completed, job)
        assert (row["state"], len(done)) in (("done", 1), ("failed", 0))
        # Three failures of one piece are the only way to fail.
        assert row["state"] == "done" or row["last_error"] == "It broke. It was tried 3 times."
    assert len(orders) >= 500


async def test_job_fails_in_words_when_an_attempt_says_it_is_final(control: Control, seller: Desk) -> None:
    title, job = await begun(seller)
    await say(control, Failed(job=job, chunk="probe", code="not-a-video", words="This is a text file.", final=True))
    shown = await seller.ask("GET", f"jobs/{job}")
    assert (shown["state"], shown["last_error"]) == ("failed", "This is a text file.")
    assert (await seller.ask("GET", f"titles/{title}"))["state"] == "draft"
    assert [e["data"]["code"] for e in await control.events("transcode.failed")] == ["not-a-video"]


async def test_job_fails_when_a_chunk_failed_three_times(control: Control, seller: Desk) -> None:
    _, job = await begun(seller)
    await say(control, planned_of(job))
    for n in range(3):
        await say(control, Failed(job=job, chunk="0", code="exit", words="The decoder gave up."), entry=f"e{n}")
        await say(control, Failed(job=job, chunk="0", code="exit", words="The decoder gave up."), entry=f"e{n}")
        counted = await control.rows("select failures from job_chunk where job = $1 and chunk = '0'", job)
        assert counted == [{"failures": n + 1}]
    shown = await seller.ask("GET", f"jobs/{job}")
    assert (shown["state"], shown["last_error"]) == ("failed", "The decoder gave up. It was tried 3 times.")
    assert (await sent(control)).count("chunk:0") == 3
    assert await withdrawn(control) == [(job, False, ""), (job, False, job), ("v1", True, "")]


@pytest.mark.parametrize(
    ("code", "lost", "at_once"), [("no-space", True, False), ("killed", True, True), ("exit", False, True)]
)
async def test_what_a_machine_failed_at_is_offered_a_little_later(
    control: Control, seller: Desk, code: str, lost: bool, at_once: bool
) -> None:
    """It would take it again at once; what was ended from outside, or failed by the input, may be tried again."""
    _, job = await begun(seller)
    await say(control, planned_of(job, chunks=("0",)))
    control.clock.advance(6)
    await say(control, Started(job=job, chunk="0", attempt="a", version="v1"))
    await say(control, Failed(job=job, chunk="0", code=code, words="No.", lost=lost, version="v1"))
    assert (await sent(control)).count("chunk:0") == 1 + at_once
    assert await reap(control) == 1 - at_once
    assert (await sent(control)).count("chunk:0") == 2


async def test_published_title_keeps_its_edition_when_a_new_master_fails(control: Control, seller: Desk) -> None:
    title = await seller.published()
    job = (await seller.queue(title["id"])).id
    assert (await seller.ask("GET", f"titles/{title['id']}"))["state"] == "published"
    await say(control, Failed(job=job, chunk="probe", code="x", words="No.", final=True))
    assert (await seller.ask("GET", f"titles/{title['id']}"))["state"] == "published"
    job = (await seller.queue(title["id"])).id
    await say(control, ready_of(job, "v2", "e2"))
    rows = await control.rows("select state, edition from title where id = $1", title["id"])
    assert rows == [{"state": "published", "edition": "e2"}]


async def test_ready_title_stays_ready_when_a_new_master_is_cancelled(control: Control, seller: Desk) -> None:
    title = await seller.ready()
    job = (await seller.queue(title["id"])).id
    assert (await seller.ask("GET", f"titles/{title['id']}"))["state"] == "processing"
    assert (await seller.ask("POST", f"jobs/{job}/cancel"))["state"] == "cancelled"
    assert (await seller.ask("GET", f"titles/{title['id']}"))["state"] == "ready"
    assert await control.wiring["redis"].exists(farm.cancel_key(job))
    await seller.ask("POST", f"jobs/{job}/cancel", 409)


async def test_retry_makes_a_new_job_of_the_same_master(control: Control, seller: Desk) -> None:
    title, job = await begun(seller)
    await seller.ask("POST", f"jobs/{job}/retry", 409)
    await say(control, Failed(job=job, chunk="probe", code="x", words="No.", final=True))
    again = await seller.ask("POST", f"jobs/{job}/retry")
    assert again["id"] != job and again["state"] == "queued"
    rows = await control.rows("select master, sha256, upload from job where title = $1", title)
    assert len(rows) == 2 and rows[0] == rows[1]
    await seller.ask("POST", f"jobs/{job}/retry", 409)


async def test_same_master_is_planned_for_the_encoder_it_was_planned_for_before(control: Control, seller: Desk) -> None:
    _, job = await begun(seller)
    await say(control, msgspec.structs.replace(planned_of(job), encoder="nvenc"))
    await say(control, Failed(job=job, chunk="0", code="x", words="No.", final=True, version="v1"))
    again = await seller.ask("POST", f"jobs/{job}/retry")
    assert await control.rows("select encoder from job where id = $1", again["id"]) == [{"encoder": "nvenc"}]


async def test_title_can_be_watched_when_its_opening_is_made(control: Control, seller: Desk) -> None:
    title, job = await begun(seller)
    early = msgspec.structs.replace(planned_of(job), edition="e0", ceilings=("720", "360"))
    await say(control, early)
    await say(control, ChunkDone(job=job, chunk="0", version="v1"))
    assert (await seller.ask("GET", f"titles/{title}"))["ceilings"] == []
    await say(control, ChunkDone(job=job, chunk="sound", version="v1"))
    shown = await seller.ask("GET", f"titles/{title}")
    assert (shown["state"], shown["ceilings"], shown["duration_s"]) == ("processing", ["720", "360"], 10.0)
    rows = await control.rows("select version, edition, making from title where id = $1", title)
    assert rows == [{"version": "v1", "edition": "e0", "making": True}]
    events = await control.events("transcode.playable")
    assert [event["data"] for event in events] == [{"job": job, "title": title, "version": "v1", "edition": "e0"}]
    await say(control, ChunkDone(job=job, chunk="poster", version="v1"))
    await say(control, ready_of(job))
    rows = await control.rows("select state, edition, making from title where id = $1", title)
    assert rows == [{"state": "ready", "edition": "e1", "making": False}]


async def test_cancelled_job_leaves_nothing_to_be_taken(control: Control, seller: Desk) -> None:
    title, job = await begun(seller)
    await say(control, msgspec.structs.replace(planned_of(job), edition="e0", ceilings=("720",)))
    for chunk in ("0", "sound"):
        await say(control, ChunkDone(job=job, chunk=chunk, version="v1"))
    await seller.ask("POST", f"jobs/{job}/cancel")
    assert (await withdrawn(control))[-2:] == [(job, False, job), ("v1", True, "")]
    rows = await control.rows("select state, edition, making from title where id = $1", title)
    assert rows == [{"state": "draft", "edition": None, "making": False}]


async def test_version_is_not_given_up_when_a_newer_job_makes_it(control: Control, seller: Desk) -> None:
    title, old = await begun(seller)
    await say(control, planned_of(old))
    await seller.ask("POST", f"jobs/{old}/cancel")
    async with control.wiring["begin"]() as unit:
        over = await actions.stopped(jobs=unit.jobs, clock=control.clock)
    assert [(one.job, one.version) for one in over] == [(old, "v1")]
    await say(control, planned_of((await seller.queue(title)).id))
    async with control.wiring["begin"]() as unit:
        over = await actions.stopped(jobs=unit.jobs, clock=control.clock)
    assert [(one.job, one.version) for one in over] == [(old, None)]


@pytest.mark.parametrize("told", ["replan", "failures"])
async def test_job_is_planned_anew_when_its_encoder_is_of_no_use(control: Control, seller: Desk, told: str) -> None:
    title, job = await begun(seller)
    plan = msgspec.structs.replace(planned_of(job), queue="gpu", encoder="nvenc", edition="e0", ceilings=("720",))
    await say(control, plan)
    for chunk in ("sound", "0"):
        await say(control, ChunkDone(job=job, chunk=chunk, version="v1"))
    if told == "replan":
        await say(control, Replan(job=job, version="v0", encoder="x264", why="an older plan"))
        await say(control, Replan(job=job, version="v1", encoder="x264", why="the card died"))
        await say(control, Replan(job=job, version="v1", encoder="x264", why="the card died"))
    else:
        for n in range(3):
            await say(control, Failed(job=job, chunk="poster", code="exit", words="No.", version="v1"), entry=f"f{n}")
    await say(control, plan)
    (probe,) = (await offers(control))[-1].work.values()
    assert isinstance(probe, farm.ProbeTicket) and probe.encoder == "x264"
    shown = await seller.ask("GET", f"jobs/{job}")
    assert (shown["state"], (await offers(control))[-1].queue) == ("queued", "cpu")
    assert ("v1", False, "") in await withdrawn(control), "whoever watches what is made of it plays on"
    rows = await control.rows("select version, edition, making from title where id = $1", title)
    assert rows == [{"version": "v1", "edition": "e0", "making": True}]
    anew = msgspec.structs.replace(planned_of(job, "v2"), encoder="x264", edition="e2", ceilings=("720",))
    await say(control, anew)
    for chunk in ("0", "sound"):
        await say(control, ChunkDone(job=job, chunk=chunk, version="v2"))
    rows = await control.rows("select version, edition, making from title where id = $1", title)
    assert rows == [{"version": "v2", "edition": "e2", "making": True}]
    assert [event["data"]["encoder"] for event in await control.events("transcode.replanned")] == ["x264"]


async def test_backlog_of_a_seller_waits_and_moves_up(control: Control, seller: Desk) -> None:
    queued = []
    for _ in range(6):
        queued.append(await begun(seller))
        control.clock.advance(1)
    classes = [int(offer.scores["probe"] // CLASS) for offer in await offers(control)]
    assert classes == [FIRST] * 4 + [BULK] * 2
    await say(control, planned_of(queued[4][1], "v4"))
    assert {int(value // CLASS) for value in (await offers(control))[-1].scores.values()} == {BULK}
    await seller.ask("POST", f"jobs/{queued[0][1]}/cancel")
    last = (await offers(control))[-1]
    assert last.plan == "v4"
    assert {chunk: int(value // CLASS) for chunk, value in last.scores.items()} == {"0": 2, "sound": 2, "poster": 1}


async def test_job_is_shown_as_probing_when_its_lease_is_held(control: Control, seller: Desk) -> None:
    title, job = await begun(seller)
    await leased(control, f"{job} probe")
    assert (await seller.ask("GET", f"jobs/{job}"))["state"] == "probing"
    listed = (await seller.ask("GET", "studio/titles"))["items"]
    assert (listed[0]["id"], listed[0]["job"]["state"], listed[0]["upload"]) == (title, "probing", None)


async def test_stream_tells_each_change_until_the_job_is_over(control: Control, seller: Desk, monkeypatch: Any) -> None:
    monkeypatch.setattr("gateway.control.live.LOOK_S", 0.01)
    _, job = await begun(seller)
    await say(control, Failed(job=job, chunk="probe", code="x", words="No.", final=True))
    async with seller.http.stream("GET", f"/v1/jobs/{job}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line async for line in answer.aiter_lines()]
    data = [msgspec.json.decode(line[6:]) for line in lines if line.startswith("data: ")]
    assert [(one["state"], one["last_error"]) for one in data] == [("failed", "No.")]
    assert "event: job" in lines


async def test_jobs_of_others_do_not_exist(control: Control, seller: Desk) -> None:
    title, job = await begun(seller)
    stranger = control.browser("10.9.9.9")
    await register(stranger, "eve")
    for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/retry"), ("POST", "/cancel")):
        answers = [await stranger.request(method, f"/v1/jobs/{one}{path}") for one in (job, "job_" + "0" * 32, "x")]
        assert [a.status_code for a in answers] == [404] * 3
        assert len({a.json()["detail"] for a in answers}) == 1
    assert (await stranger.get(f"/v1/titles/{title}/jobs")).status_code == 404
