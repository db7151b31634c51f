"""The farm as operators see it: workers, queues, jobs of all sellers, and who may look."""

from __future__ import annotations

import httpx2
import msgspec
import pytest
from redis.asyncio import Redis

from gateway.control.farms import store
from shared import jobs as farm
from shared.need import GpuState, Needs, Offer, WorkerState, score
from tests.support.control import Control, code_of, make_admin, register
from tests.support.titles import Desk, desk, planned_of, say

CARD = GpuState(index=0, name="L4", memory_free_bytes=20 << 30, encoder_percent=40, decoder_percent=3, celsius=61)


@pytest.fixture
async def admin(control: Control) -> httpx2.AsyncClient:
    """An admin's browser."""
    http = control.browser("10.5.0.1")
    await make_admin(control, (await register(http, "ada"))["id"])
    return http


@pytest.fixture
def needs(redis: Redis) -> Needs:
    """Where workers take and tell."""
    return Needs(redis, lease_s=15)


def worker(name: str = "w1", **told: object) -> WorkerState:
    state = WorkerState(name, ("cpu",), "x264", "n9.0.2", since=1_700_000_000.0)
    return msgspec.structs.replace(state, **told)


async def under_way(control: Control, seller: Desk, needs: Needs) -> tuple[str, str]:
    """A title of three chunks with one in work at `w1`; title and job."""
    title = (await seller.title(name="The Long Way"))["id"]
    job = await seller.queue(title)
    await say(control, planned_of(job.id, chunks=("0", "sound", "1")))
    await needs.withdraw("v1")
    await needs.withdraw(job.id)
    tickets: dict[str, farm.Ticket] = {
        chunk: farm.ChunkTicket(job.id, title, "v1", chunk) for chunk in ("0", "sound", "1")
    }
    scores = {"0": score(2), "sound": score(2, 1), "1": score(1, 2)}
    await needs.offer(Offer("v1", "cpu", seller.seller["id"], 0, 20.0, 1, tickets, scores))
    taken = await needs.take("w1/1", ["cpu"], memory_bytes=1 << 40)
    assert taken is not None and taken.work == "v1 0"
    await needs.tell(worker(speed=2.5))
    return title, job.id


async def test_farm_is_told_by_worker_and_by_queue(
    control: Control, seller: Desk, admin: httpx2.AsyncClient, needs: Needs
) -> None:
    title, job = await under_way(control, seller, needs)
    await needs.tell(worker("w2", queues=("gpu", "cpu"), encoder="nvenc", gpus=(CARD,), sessions=4, sessions_cap=8))
    answer = await admin.get("/v1/farm")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    cpu, gpu = told["queues"]
    assert (cpu["workers"], cpu["waiting"], cpu["running"]) == (2, 2, 1)
    assert (cpu["waiting_media_s"], cpu["running_media_s"]) == (40.0, 20.0)
    assert (gpu["workers"], gpu["waiting"], gpu["waiting_media_s"]) == (1, 0, 0.0)
    first, second = told["workers"]
    assert first["running"] == [{"chunk": "0", "job": job, "title": title, "name": "The Long Way"}]
    assert (first["state"], told["speed"], first["since"]) == ("open", 2.5, "2023-11-14T22:13:20Z")
    assert second["gpus"] == [msgspec.to_builtins(CARD)] and second["sessions_cap"] == 8


async def test_work_whose_job_is_gone_is_still_shown(admin: httpx2.AsyncClient, needs: Needs) -> None:
    work: dict[str, farm.Ticket] = {"sound": farm.ChunkTicket("job_0", "ttl_0", "v0", "sound")}
    await needs.offer(Offer("v0", "cpu", "s", 0, 20.0, 1, work, {"sound": score(2)}))
    assert await needs.take("w1/1", ["cpu"], memory_bytes=1) is not None
    await needs.tell(worker())
    told = (await admin.get("/v1/farm")).json()
    assert told["workers"][0]["running"] == [{"chunk": "sound", "job": "", "title": "", "name": ""}]


async def test_jobs_are_those_of_all_sellers(
    control: Control, seller: Desk, admin: httpx2.AsyncClient, needs: Needs
) -> None:
    _, job = await under_way(control, seller, needs)
    other = await desk(control, "other")
    failed = await other.queue((await other.title(name="Broken"))["id"])
    await say(control, farm.Failed(failed.id, "probe", "no-video", "There is no picture in it.", final=True))
    (line,) = (await admin.get("/v1/farm/jobs")).json()["items"]
    assert (line["id"], line["name"], line["seller"], line["state"]) == (job, "The Long Way", "studio", "encoding")
    assert (line["pieces"], line["done"], line["lost"]) == (3, 0, 0)
    over = (await admin.get("/v1/farm/jobs?state=over")).json()
    assert [(line["id"], line["seller"], line["last_error"]) for line in over["items"]] == [
        (failed.id, "other", "There is no picture in it.")
    ]
    assert over["more"] is False


async def test_job_is_shown_piece_by_piece_with_who_is_at_it(
    control: Control, seller: Desk, admin: httpx2.AsyncClient, needs: Needs
) -> None:
    _, job = await under_way(control, seller, needs)
    await say(control, farm.Started(job, "probe", "a0"), "1-0")
    await say(control, farm.Started(job, "0", "a1"), "1-1")
    await say(control, farm.Progress(job, "0", {"720": 0.5, "360": 0.5}))
    await say(control, farm.ChunkDone(job, "sound"))
    told = (await admin.get(f"/v1/farm/jobs/{job}")).json()
    pieces = {piece["chunk"]: piece for piece in told["pieces"]}
    assert [piece["chunk"] for piece in told["pieces"] if piece["chunk"] != "probe"] == ["0", "1", "sound"]
    assert (pieces["0"]["state"], pieces["0"]["progress"], pieces["0"]["worker"]) == ("running", 0.5, "w1")
    assert (pieces["sound"]["state"], pieces["sound"]["progress"], pieces["sound"]["worker"]) == ("done", 1.0, "")
    assert (pieces["1"]["state"], pieces["1"]["worker"], told["is_live"]) == ("waiting", "", True)
    assert (pieces["probe"]["state"], pieces["probe"]["progress"]) == ("done", 1.0)


async def test_worker_is_told_to_rest_to_leave_and_to_work_on(
    control: Control, admin: httpx2.AsyncClient, needs: Needs
) -> None:
    await needs.tell(worker())
    for state, key in (("cordon", "cordon"), ("drain", "drain"), ("open", "")):
        answer = await admin.put("/v1/farm/workers/w1", json={"state": state})
        assert answer.json() == {"name": "w1", "state": state, "since": "2023-11-14T22:13:20Z"}
        assert await needs.cordoned("w1", since=worker().since) == key
        assert (await admin.get("/v1/farm")).json()["workers"][0]["state"] == state
    audit = await control.rows("select object, after from audit where action = 'farm:operate' order by seq")
    assert audit == [{"object": "w1", "after": {"state": state}} for state in ("cordon", "drain", "open")]
    assert code_of(await admin.put("/v1/farm/workers/w9", json={"state": "drain"})) == (404, "not-found")
    assert (await admin.put("/v1/farm/workers/w9", json={"state": "open"})).status_code == 200
    assert code_of(await admin.put("/v1/farm/workers/w1", json={"state": "asleep"}))[0] == 422


@pytest.mark.parametrize("role", ["", "support", "auditor", "moderator"])
async def test_farm_is_for_admins(control: Control, needs: Needs, role: str) -> None:
    await needs.tell(worker())
    assert (await control.browser().get("/v1/farm")).status_code == 401
    me = await register(control.http, "eve")
    if role:
        await make_admin(control, me["id"], role)
    job = "job_0123456789abcdef0123456789abcdef"
    for path in ("farm", "farm/jobs", f"farm/jobs/{job}"):
        assert code_of(await control.http.get(f"/v1/{path}")) == (403, "forbidden")
    assert code_of(await control.http.put("/v1/farm/workers/w1", json={"state": "drain"})) == (403, "forbidden")
    assert await needs.cordoned("w1") == ""


async def test_job_that_is_none_is_not_found(admin: httpx2.AsyncClient) -> None:
    for wrong in ("job_0123456789abcdef0123456789abcdef", "x", "ttl_1"):
        assert code_of(await admin.get(f"/v1/farm/jobs/{wrong}")) == (404, "not-found")


async def test_without_redis_jobs_are_shown_and_workers_are_not(
    control: Control, seller: Desk, admin: httpx2.AsyncClient, needs: Needs
) -> None:
    _, job = await under_way(control, seller, needs)
    control.wiring["needs"] = Needs(Redis.from_url("redis://127.0.0.1:1/0"), lease_s=15)
    for method, path in (("GET", "farm"), ("PUT", "farm/workers/w1")):
        answer = await admin.request(method, f"/v1/{path}", json={"state": "cordon"})
        assert code_of(answer) == (503, "unavailable") and "Redis does not answer" in answer.text
        assert answer.headers["retry-after"]
    told = (await admin.get(f"/v1/farm/jobs/{job}")).json()
    assert told["is_live"] is False and {piece["worker"] for piece in told["pieces"]} == {""}
    assert len((await admin.get("/v1/farm/jobs")).json()["items"]) == 1
    assert await control.rows("select 1 as one from audit where action = 'farm:operate'") == []


FILL = """
insert into principal (id, kind, sub) select 'usr_' || n, 'registered', 'sub_' || n from generate_series(1, 5000) n;
insert into seller select 'slr_' || n, 'Seller', 'h' || n, 'h' || n from generate_series(1, 5000) n;
insert into title (id, seller, kind, short_id, short_folded, slug, name)
    select 'ttl_' || n, 'slr_' || n, 'video', n, n, n, 'A' from generate_series(1, 5000) n;
insert into upload (id, title, principal, filename, size_bytes, expires_at)
    select 'upl_' || n, 'ttl_' || n, 'usr_' || n, 'a', 1, now() from generate_series(1, 5000) n;
insert into job (id, title, upload, seller, master, sha256, kind, queue, queued_at, version, state, finished_at)
    select 'job_' || n, 'ttl_' || n, 'upl_' || n, 'slr_' || n, 'm', 's', 'video', 'cpu',
        now() - n * interval '1 minute', 'v' || n,
        case when n % 50 = 0 then 'encoding' when n % 50 = 1 then 'failed' else 'done' end, now()
    from generate_series(1, 5000) n;
insert into job_chunk (job, chunk) select 'job_' || n, c from generate_series(1, 5000) n, generate_series(1, 10) c;
analyze;
"""


@pytest.mark.parametrize(
    ("sql", "value"),
    [(store.OPEN, 200), (store.OVER, 200), (store.LINE, "job_77"), (store.OWNERS, ["v50", "job_100"])],
    ids=["open", "over", "line", "owners"],
)
async def test_each_query_finds_its_rows_by_an_index(control: Control, sql: str, value: object) -> None:
    async with control.wiring["pool"].acquire() as connection:
        # Thousands of titles are few enough to be hashed; what matters is that there is an index to go by.
        await connection.execute(FILL + "set enable_hashjoin = off; set enable_mergejoin = off")
        plan = await connection.fetchval("explain (format json) " + sql, value)
    assert '"Seq Scan"' not in plan, plan
