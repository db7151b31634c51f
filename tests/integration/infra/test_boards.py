"""Board and alerts: every question is asked of an edge that runs, and every alert leads to words on what to do."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import msgspec
import pytest
from redis.asyncio import Redis

from gateway.edge.cmcd import FLAG
from gateway.edge.refusals import TABLE
from infra.stack.plan import ROOT
from shared import flags
from tests.support import boards, promql
from tests.support.boards import alerts, asked_by_alerts, asked_by_board, missing, panels, promtool
from tests.support.edge import MASTER, PLAYLIST, SEGMENT, TITLE, fill_bucket, until
from tests.support.edge_process import EdgeProcess, edge_process
from tests.support.players import linked
from tests.support.ports import free_port
from tests.support.promql import Prometheus, prometheus
from tests.support.valkey import Valkey, valkey

RULES, BOARD = boards.RULES / "edge.rules.yaml", boards.BOARDS / "edge.json"
PAGE = ROOT / "docs" / "operations.md"
#: What Prometheus says of the target itself.
TARGET = {"instance": "127.0.0.1", "job": "edge"}
#: One report that says all that is ever asked of a report.
REPORTS = (
    "bl=21300,br=3200,bs,mtp=25400,ot=v,pr=2,su",
    "bl=(4000),br=(5000),bs,bsd=(700),msd=900,mtp=(9000),ot=v,pr=1.5,su,v=2",
)


async def live(edge: EdgeProcess, server: Valkey) -> None:
    """A day: films watched, links refused, reports sent, the bucket cold and warm."""
    redis = Redis.from_url(server.url)
    await flags.copy(redis, {FLAG: flags.State(True)})
    await redis.aclose()
    viewer = edge.token()

    async def heard() -> bool:
        async with linked(edge.port) as link:
            await link.ask("GET", f"/t/{viewer}/{SEGMENT}?CMCD={quote(REPORTS[0], safe='')}")
        return any(name.startswith("usher_qoe_stalls_total") for name in await edge.metrics())

    await until(heard)
    async with linked(edge.port) as link:
        for report in REPORTS:
            await link.ask("GET", f"/t/{viewer}/{PLAYLIST}?CMCD={quote(report, safe='')}")
        for path in (MASTER, SEGMENT, f"v/{TITLE}/ver1/720/0/99.m4s"):
            await link.ask("GET", f"/t/{viewer}/{path}")
        await link.ask("GET", f"/t/{viewer[:-6]}AAAAAA/{SEGMENT}")


async def meet_an_error(edge: EdgeProcess) -> None:
    """Without Redis nobody can start."""
    async with linked(edge.port) as link:
        answer = await link.ask("GET", f"/t/{edge.token()}/{SEGMENT}")
        assert answer.status == 503


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Prometheus | None]]:
    """What an edge tells after a day, and a Prometheus that has seen that day."""
    loop = asyncio.new_event_loop()
    folder = tmp_path_factory.mktemp("edge")
    fill_bucket(folder / "bucket")
    found = shutil.which("prometheus")
    with valkey(free_port()) as server:
        environ = {
            "USHER_REDIS_URL": server.url,
            "USHER_JWKS_URL": "http://127.0.0.1:9/",
            "USHER_CACHE_DISK_BYTES": str(1 << 24),
        }
        context = edge_process(folder, environ)
        edge = loop.run_until_complete(context.__aenter__())
        try:
            if found is None:
                loop.run_until_complete(live(edge, server))
                server.kill()
                loop.run_until_complete(meet_an_error(edge))
                yield loop.run_until_complete(scrape(edge)), None
            else:
                (folder / "prometheus").mkdir()
                targets = {"edge": edge.private_port}
                with prometheus(found, folder / "prometheus", targets=targets, rules=RULES) as asked:
                    asked.until("usher_edge_sessions")
                    loop.run_until_complete(live(edge, server))
                    server.kill()
                    # A rise is seen only between two looks.
                    for _ in range(2):
                        loop.run_until_complete(meet_an_error(edge))
                        asked.until('usher_edge_requests_total{status="503"}')
                    asked.until('rate(usher_edge_requests_total{status="503"}[1m]) > 0')
                    asked.until('ALERTS{alertname="EdgeErrors"}')
                    yield loop.run_until_complete(scrape(edge)), asked
        finally:
            loop.run_until_complete(context.__aexit__(None, None, None))
            loop.close()


async def scrape(edge: EdgeProcess) -> str:
    async with linked(edge.private_port) as link:
        answer = await link.ask("GET", "/metrics", headers={"connection": "close"})
    return answer.body.decode()


def test_every_question_asks_for_what_the_edge_tells(told: tuple[str, Prometheus | None], tools: Path) -> None:
    known = promql.samples(told[0], **TARGET)
    labels = {label for _, found in known for label in found}
    questions = [*asked_by_board(BOARD), *asked_by_alerts(RULES)]
    wrong = [
        f"{name} {matchers} of {question}"
        for question, asked in zip(questions, promql.read(tools, questions), strict=True)
        for name, matchers in asked.series
        if not promql.selects(known, name, matchers) or not set(asked.labels) <= labels
    ]
    assert wrong == []


def test_every_question_has_an_answer_in_prometheus(told: tuple[str, Prometheus | None]) -> None:
    _, asked = told
    if asked is None:
        missing("Prometheus")
    silent = [question for question in [*asked_by_board(BOARD), *asked_by_alerts(RULES)] if not asked.ask(question)]
    assert silent == []
    rules = {rule["name"]: rule for rule in asked.rules()}
    assert {name for name, rule in rules.items() if rule["health"] != "ok"} == set()
    assert rules.keys() == {alert["alert"] for alert in alerts(RULES)}
    assert {name for name, rule in rules.items() if rule["state"] != "inactive"} >= {"EdgeWithoutRedis", "EdgeErrors"}
    assert rules["EdgeDown"]["state"] == "inactive"


def test_reasons_that_are_asked_for_are_reasons(tools: Path) -> None:
    questions = [*asked_by_board(BOARD), *asked_by_alerts(RULES)]
    named = {
        reason
        for asked in promql.read(tools, questions)
        for name, matchers in asked.series
        for label, _, value in matchers
        if label == "reason"
        for reason in value.split("|")
    }
    assert named and named <= TABLE.keys()


def test_every_alert_says_what_is_wrong_and_where_to_read_on() -> None:
    sections = {line.removeprefix("### ") for line in PAGE.read_text().splitlines() if line.startswith("### ")}
    found = [alert for path in boards.RULES.glob("*.rules.yaml") for alert in alerts(path)]
    assert {alert["alert"] for alert in found} == sections
    for alert in found:
        assert alert["annotations"]["runbook"] == f"docs/operations.md#{alert['alert'].lower()}"
        assert alert["annotations"]["summary"].endswith(".") and alert["labels"]["severity"] in ("page", "ticket")


def test_reasons_of_the_page_are_reasons() -> None:
    part = PAGE.read_text().split("## Reasons of refusals")[1].split("## ")[0]
    named = set(re.findall(r"`([a-z]+(?:-[a-z]+)*)`", part))
    assert len(named) > 10 and named <= TABLE.keys()


@pytest.mark.parametrize("path", sorted(boards.BOARDS.glob("*.json")), ids=lambda path: path.stem)
def test_board_is_in_order(path: Path) -> None:
    board = msgspec.json.decode(path.read_bytes())
    places = [panel["gridPos"] for panel in board["panels"]]
    taken = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(taken) == len(set(taken)) and max(x for x, _ in taken) < 24
    assert len({panel["id"] for panel in board["panels"]}) == len(places)
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in panels(path))
    assert all(panel["title"] and panel["fieldConfig"]["defaults"]["unit"] for panel in panels(path))


@pytest.mark.parametrize("path", sorted(boards.RULES.glob("*.rules.yaml")), ids=lambda path: path.stem)
def test_alerts_pass_promtool(path: Path) -> None:
    promtool("check", "rules", str(path))
