"""The farm's board, alerts and scalers: every question is of metrics there are, and is asked of a farm that works."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from farm.report import send
from infra.stack.plan import OFFSETS, PRIVATE_OFFSETS
from shared import metrics
from shared.jobs import ChunkTicket, Failed, Started
from shared.need import Needs, Offer, WorkerState, score
from tests.support import boards, media, pods, promql
from tests.support.api import Person, log_in, until
from tests.support.boards import alerts, asked_by_alerts, asked_by_board, missing
from tests.support.pods import one
from tests.support.promql import Prometheus, prometheus
from tests.support.stack import Running, running_stack

RULES, BOARD = boards.RULES / "farm.rules.yaml", boards.BOARDS / "farm.json"
#: What Prometheus itself says of a target.
OF_TARGET = {"instance", "job"}
#: What a metric of each kind is made of.
SERIES = {
    "counter": {"_total": set()},
    "gauge": {"": set()},
    "histogram": {"_bucket": {"le"}, "_sum": set(), "_count": set()},
}


def asked_by_scalers(tools: Path) -> list[str]:
    parts = [pods.built(tools, "production", name) for name in ("farm-cpu", "farm-gpu")]
    return [one(part, "ScaledObject")["spec"]["triggers"][0]["metadata"]["query"] for part in parts]


def declared() -> dict[str, set[str]]:
    """Every series that shared/metrics.py declares, with its labels."""
    found: dict[str, set[str]] = {}
    for metric in vars(metrics).values():
        if hasattr(metric, "_documentation"):
            for suffix, more in SERIES[metric._type].items():
                found[metric._name + suffix] = {*metric._labelnames, *more} | OF_TARGET
    return found


def test_every_question_asks_for_declared_metrics_by_their_labels(tools: Path) -> None:
    known = declared()
    questions = [*asked_by_board(BOARD), *asked_by_alerts(RULES), *asked_by_scalers(tools)]
    wrong = [
        f"{name} {matchers} by {asked.labels} of {question}"
        for question, asked in zip(questions, promql.read(tools, questions), strict=True)
        for name, matchers in asked.series
        if name not in known or not {label for label, _, _ in matchers} <= known[name]
    ]
    assert wrong == []
    grouped = {label for asked in promql.read(tools, questions) for label in asked.labels}
    assert grouped <= set().union(*known.values())


def test_every_farm_metric_is_on_the_board(tools: Path) -> None:
    shown = {name for asked in promql.read(tools, asked_by_board(BOARD)) for name, _ in asked.series}
    told = {name for name in declared() if name.startswith("usher_farm_")}
    unseen = {name for name in told - shown if not name.endswith(("_sum", "_count"))}
    assert unseen == set()


PARTS = ("worker", "farm")


class Day:
    """A farm at work, and somebody who uploads to it and runs it."""

    def __init__(self, running: Running) -> None:
        base = running.ports["control"] - OFFSETS["control"]
        self.ports = {part: base + PRIVATE_OFFSETS[part] for part in PARTS}
        self.running = running

    def scrape(self) -> str:
        """What all of it tells."""
        return "".join(self.told(part) for part in PARTS)

    def told(self, part: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[part]}/metrics", timeout=60) as answer:
            return str(answer.read().decode())

    async def has(self, part: str, *series: str) -> None:
        """Until a part tells of each series."""
        for one_of in series:

            async def there(wanted: str = one_of) -> bool | None:
                return True if any(line.startswith(wanted) for line in self.told(part).splitlines()) else None

            await until(there, within_s=60, what=f"{part} tells {one_of}")

    async def live(self, asked: Prometheus | None) -> None:
        """A title is made, a master refused, work fails and is lost, a worker rests."""
        seller, admin = await log_in(self.running, "seller"), await log_in(self.running, "admin")
        redis = Redis.from_url(self.running.redis_url)
        try:
            await self._make(seller)
            await self._refuse(seller)
            await self._fail(Needs(redis, lease_s=15))
            await self.has(
                "farm", 'usher_farm_chunks_total{outcome="failed"}', 'usher_farm_chunks_total{outcome="done"}'
            )
            await self._lose(seller, admin, redis, asked)
        finally:
            await redis.aclose()
            await seller.close()
            await admin.close()
        await self.has("worker", "usher_farm_refused_total{")

    async def _make(self, seller: Person) -> None:
        title = await self._upload(seller, media.plain())
        await seller.wait_ready(title)

    async def _refuse(self, seller: Person) -> None:
        title = await self._upload(seller, media.derived("cut.mp4", lambda data: data[:4000], media.plain()))

        async def refused() -> bool | None:
            jobs = (await seller.ask("GET", f"titles/{title}/jobs"))["items"]
            return True if jobs and jobs[0]["state"] == "failed" else None

        await until(refused, within_s=60, what="a refusal")

    async def _fail(self, needs: Needs) -> None:
        """A chunk of a plan that nobody made."""
        work = {"0": ChunkTicket("job_0", "ttl_0", "nothing", "0")}
        await needs.offer(Offer("nothing", "cpu", "s", 0, 20.0, 1, {**work}, {"0": score(3)}))

    async def _lose(self, seller: Person, admin: Person, redis: Redis, asked: Prometheus | None) -> None:
        """The worker rests; a job that waits for it is lost by another that has no room, and by Redis."""
        (worker,) = (await admin.ask("GET", "farm"))["workers"]
        await admin.ask("PUT", f"farm/workers/{worker['name']}", state="cordon")
        await Needs(redis, lease_s=15).tell(WorkerState("other", ("gpu", "cpu"), "x264", "test"))
        title = await self._upload(seller, media.plain())
        (job,) = (await seller.ask("GET", f"titles/{title}/jobs"))["items"]
        await self.has("worker", 'usher_farm_waiting{queue="cpu"} 1.0')
        await Needs(redis, lease_s=15).withdraw(job["id"])
        await self.has("worker", "usher_jobs_reenqueued_total{")
        for count in ("1.0", "2.0"):
            await send(redis, Started(job["id"], "probe", f"attempt-{count}"))
            await send(redis, Failed(job["id"], "probe", "scratch-full", "No room.", lost=True))
            await self.has("worker", f'usher_farm_lost_total{{why="scratch-full"}} {count}')
            if asked is not None:
                # A rise is seen only between two looks.
                await asyncio.to_thread(asked.until, f'usher_farm_lost_total{{why="scratch-full"}} == {count}')
        await admin.ask("PUT", f"farm/workers/{worker['name']}", state="open")
        await seller.wait_ready(title)

    async def _upload(self, seller: Person, master: Path) -> str:
        title = await seller.make_title(name=master.stem)
        await seller.send(await seller.begin_upload(title, master), master.read_bytes(), offset=0)
        return title


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Prometheus | None]]:
    """What control worker and farm tell after a day, and a Prometheus that has seen that day."""
    folder, found = tmp_path_factory.mktemp("farm"), shutil.which("prometheus")
    only, quick = ["--only", "postgres,valkey,control,worker,farm"], {"USHER_LEASE_S": "3", "USHER_REAPER_S": "1"}
    with running_stack(folder, demo=False, arguments=only, environ=quick) as running, contextlib.ExitStack() as stack:
        day, asked = Day(running), None
        if found is not None:
            (folder / "prometheus").mkdir()
            seen = prometheus(found, folder / "prometheus", targets=day.ports, rules=RULES)
            asked = stack.enter_context(seen)
            asked.until("usher_farm_workers")
        asyncio.run(day.live(asked))
        if asked is not None:
            asked.until('rate(usher_farm_chunks_total{outcome="done"}[1m]) > 0')
            asked.until('ALERTS{alertname="FarmScratchFull"}')
        yield day.scrape(), asked


#: Told only where there is a card.
OF_CARDS = "usher_farm_gpu_"


def test_every_question_asks_for_what_the_farm_tells(told: tuple[str, Prometheus | None], tools: Path) -> None:
    known = promql.samples(told[0], instance="127.0.0.1", job="farm")
    questions = [*asked_by_board(BOARD), *asked_by_alerts(RULES), *asked_by_scalers(tools)]
    wrong = [
        f"{name} {matchers} of {question}"
        for question, asked in zip(questions, promql.read(tools, questions), strict=True)
        for name, matchers in asked.series
        if not name.startswith(OF_CARDS) and not promql.selects(known, name, matchers)
    ]
    assert wrong == []


def test_every_question_has_an_answer_in_prometheus(told: tuple[str, Prometheus | None], tools: Path) -> None:
    _, asked = told
    if asked is None:
        missing("Prometheus")
    questions = [*asked_by_board(BOARD), *asked_by_alerts(RULES), *asked_by_scalers(tools)]
    silent = [question for question in questions if OF_CARDS not in question and not asked.ask(question)]
    assert silent == []
    rules = {rule["name"]: rule for rule in asked.rules()}
    assert {name for name, rule in rules.items() if rule["health"] != "ok"} == set()
    assert rules.keys() == {alert["alert"] for alert in alerts(RULES)}
    assert rules["FarmUnknown"]["state"] == rules["FarmWithoutWorkers"]["state"] == "inactive"
    assert rules["FarmScratchFull"]["state"] == "firing"
