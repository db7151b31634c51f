"""Films that are interrupted: by the network, by the back button, by a computer that sleeps; and what is told of it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import unquote

import pytest
from playwright.async_api import Browser, Page, Route, expect
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from gateway.edge.cmcd import OBJECTS
from infra.stack.plan import OFFSETS
from tests.e2e.conftest import CLOCKS, Open
from tests.e2e.test_browser import enter, plays_past, position, press_play, seated
from tests.support import chromium
from tests.support.api import Person, log_in, until
from tests.support.faults import FaultChild, faulty_child
from tests.support.players import linked
from tests.support.ports import free_base
from tests.support.stack import Running, running_stack

#: Bytes a second that are enough to begin with, and too few to have much of the film at hand soon.
NARROW = 150_000
STALL_MS = 2_500
#: Notes each stretch in which the film stands still after its start, by the page's own clock. A seek is none.
WITNESS = """() => {
  window.stalls = [];
  let isBegun = false;
  const on = (name, heard) => document.addEventListener(name, heard, true);
  const end = () => {
    if (stalls.length) stalls.at(-1).to ??= performance.now();
  };
  on("waiting", ({ target }) => {
    if (isBegun && !target.seeking && stalls.at(-1)?.to !== null) stalls.push({ from: performance.now(), to: null });
  });
  on("playing", () => {
    isBegun = true;
    end();
  });
  for (const name of ["seeking", "pause", "ended"]) on(name, end);
}"""
#: The film begins at its beginning, wherever its viewer was last.
FROM_THE_START = """() => {
  const { title } = document.getElementById("stage").dataset;
  localStorage.setItem(`usher:position:${title}`, JSON.stringify({ t: 0, at: Date.now() }));
}"""
#: Whether it stands still for so many milliseconds; and, after that, no more.
STALLS = "ms => stalls.at(-1)?.to === null && performance.now() - stalls.at(-1).from > ms"
GOES_ON = "() => stalls.at(-1).to !== null"
#: Whether the film plays, and has something at hand to play on from.
SUPPLIED = """() => {
  const { buffered, currentTime, readyState } = document.querySelector("video");
  return readyState > 2 && buffered.length && buffered.end(buffered.length - 1) > currentTime + 1;
}"""
KEEPING = "--disable-back-forward-cache"


@pytest.fixture(scope="module")
def base() -> int:
    """The first port of the stack."""
    return free_base()


@pytest.fixture(scope="module")
def proxy(base: int) -> Iterator[FaultChild]:
    """The way from the browser to the edge."""
    with faulty_child(f"127.0.0.1:{base + OFFSETS['edge']}") as child:
        yield child


@pytest.fixture
def network(proxy: FaultChild) -> Iterator[FaultChild]:
    """The same, whole again after the test."""
    yield proxy
    proxy.set()


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, base: int, proxy: FaultChild) -> Iterator[Running]:
    """A running Usher with short clocks, its edge behind the proxy."""
    environ = CLOCKS | {"USHER_PORT_BASE": str(base), "USHER_EDGE_ORIGIN": f"http://{proxy.address}"}
    with running_stack(tmp_path_factory.mktemp("usher"), demo=False, environ=environ) as running:
        yield running


@pytest.fixture(scope="module")
def chromium_address(chromium_program: str) -> Iterator[str]:
    """A headless browser that keeps pages for its back button, as people's do."""
    with chromium.served(chromium_program, without=[KEEPING]) as address:
        yield address


@pytest.fixture
async def asked_how_it_fares(stack: Running) -> AsyncIterator[None]:
    """The flag `qoe.enabled` is on."""
    admin = await log_in(stack, "admin")
    await admin.ask("PUT", "flags/qoe.enabled", enabled=True)
    yield
    await admin.ask("PUT", "flags/qoe.enabled", enabled=False)
    await admin.close()


async def told(stack: Running) -> list[Sample]:
    """What the edge knows of how films fare."""
    async with linked(stack.ports["edge-private"]) as link:
        scrape = (await link.ask("GET", "/metrics", headers={"connection": "close"})).body.decode()
    samples = [sample for family in text_string_to_metric_families(scrape) for sample in family.samples]
    return [one for one in samples if one.name.startswith("usher_qoe_") and not one.name.endswith("_created")]


async def of(stack: Running, name: str) -> float:
    """The sum of `usher_qoe_<name>` over its labels."""
    return sum(one.value for one in await told(stack) if one.name == f"usher_qoe_{name}")


async def rises(stack: Running, name: str, *, above: float) -> None:
    """Until the edge was told more than that."""

    async def risen() -> bool | None:
        return True if await of(stack, name) > above else None

    await until(risen, within_s=60, what=f"the edge is told of {name}")


async def begin(
    open_page: Open, stack: Running, film: dict[str, Any], *, phone: bool = False
) -> tuple[Page, list[str]]:
    """The film's page of the viewer, and the addresses of the edge that it asks for from now on."""
    page = await open_page(phone=phone)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/t/" in request.url else None)
    await enter(page, stack, "viewer")
    await page.goto(film["watch_url"])
    await page.evaluate(FROM_THE_START)
    await page.evaluate(WITNESS)
    return page, asked


async def run_dry(page: Page, network: FaultChild) -> None:
    """Cut the film off, and wait until it stood still for a while."""
    await page.wait_for_function(SUPPLIED)
    network.set(blackhole=True)
    await page.wait_for_function(STALLS, arg=STALL_MS)


def signs(asked: list[str], count: int) -> Callable[[], Awaitable[bool | None]]:
    """Whether there were so many beats."""

    async def came() -> bool | None:
        return True if sum("/beat" in url for url in asked) >= count else None

    return came


def tokens(asked: list[str]) -> set[str]:
    """The tokens in addresses of the edge."""
    return {found for url in asked for found in re.findall(r"/t/([^/]+)/", url)}


def send_all(processes: list[int], number: signal.Signals) -> None:
    """One signal to each process."""
    for process in processes:
        os.kill(process, number)


async def lapse(stack: Running) -> None:
    """Until no seat is held."""

    async def lapsed() -> bool | None:
        return True if await seated(stack) == [] else None

    await until(lapsed, within_s=60, what="the seat to lapse")


@pytest.mark.usefixtures("asked_how_it_fares")
async def test_stall_is_told_once_and_as_long_as_it_was(
    stack: Running, open_page: Open, film: dict[str, Any], network: FaultChild
) -> None:
    page, asked = await begin(open_page, stack, film)
    network.set(bandwidth=NARROW)
    await press_play(page)
    await page.evaluate("document.querySelector('video').currentTime = 20")
    await plays_past(page, 20.5)
    await run_dry(page, network)
    network.set()
    await page.wait_for_function(GOES_ON)
    await rises(stack, "stall_seconds_sum", above=STALL_MS / 1000)
    asked.clear()
    await until(signs(asked, 2), within_s=60, what="two more beats")
    # A busy machine may stall by itself too: all of it is told, and neither the start nor the seek.
    stalls = [(one["to"] - one["from"]) / 1000 for one in await page.evaluate("() => stalls")]
    assert await of(stack, "stall_seconds_sum") == pytest.approx(sum(stalls), abs=0.25)
    assert 1 <= await of(stack, "stall_seconds_count") == await of(stack, "stalls_total") <= len(stalls)
    assert await of(stack, "startup_seconds_count") == 1

    samples = await told(stack)
    for name in ("buffer_seconds_count", "bitrate_bps_count", "throughput_bps_count"):
        assert await of(stack, name) > 0
    assert {one.labels["object"] for one in samples if "object" in one.labels} <= {*OBJECTS.values(), "unknown"}
    assert {one.labels["version"] for one in samples if "version" in one.labels} == {"v1", "v2"}
    assert {name for one in samples for name in one.labels} <= {"object", "version", "le"}


@pytest.mark.usefixtures("asked_how_it_fares")
async def test_stall_is_told_by_whoever_has_enough_of_it_and_leaves(
    stack: Running, open_page: Open, film: dict[str, Any], network: FaultChild
) -> None:
    page, _ = await begin(open_page, stack, film)
    before = await of(stack, "stall_seconds_count")
    network.set(bandwidth=NARROW)
    await press_play(page)
    await run_dry(page, network)
    await page.goto("/docs")
    network.set()
    await rises(stack, "stall_seconds_count", above=before)


@pytest.mark.usefixtures("asked_how_it_fares")
async def test_what_a_lost_beat_said_is_said_by_the_next(stack: Running, open_page: Open, film: dict[str, Any]) -> None:
    page, _ = await begin(open_page, stack, film)
    before = await of(stack, "startup_seconds_count")
    lost: list[str] = []

    async def lose(route: Route) -> None:
        lost.append(unquote(route.request.url))
        await route.abort()

    await page.route("**/beat?*", lose)
    await press_play(page)

    async def said() -> bool | None:
        return True if any("msd=" in url for url in lost) else None

    await until(said, within_s=60, what="a beat that tells of the start")
    assert await of(stack, "startup_seconds_count") == before
    await page.unroute("**/beat?*")
    await rises(stack, "startup_seconds_count", above=before)


async def test_page_tells_nothing_while_the_flag_is_off(stack: Running, open_page: Open, film: dict[str, Any]) -> None:
    before = await told(stack)
    page = await open_page()
    heard: list[str] = []
    page.on("request", lambda request: heard.append(f"{request.url} {request.headers}"))
    await enter(page, stack, "viewer")
    await page.goto(film["watch_url"])
    await press_play(page)
    await page.evaluate("document.querySelector('video').currentTime = 20")
    await until(signs(heard, 2), within_s=60, what="two beats")
    await page.goto("/docs")
    assert not [one for one in heard if "cmcd" in one.lower()]
    assert await told(stack) == before


async def test_film_that_was_left_plays_on_when_one_comes_back(
    stack: Running, open_page: Open, film: dict[str, Any], viewer: Person
) -> None:
    page, asked = await begin(open_page, stack, film)
    session = await press_play(page)
    await page.goto("/docs")
    await page.go_back(wait_until="commit")  # faster than the seat is free
    stopped = await position(page)
    await plays_past(page, stopped + 1)
    assert await seated(stack) == [1]

    await page.goto("/docs")
    await lapse(stack)
    await page.go_back(wait_until="commit")
    await plays_past(page, stopped + 2)
    await expect(page.get_by_role("alert")).to_have_count(0)
    assert [seat["id"] for seat in (await viewer.ask("GET", "me/sessions"))["items"]] == [session]
    assert await seated(stack) == [1]
    assert len(tokens(asked)) == 1, "it asked for another link"


async def test_film_that_the_browser_did_not_keep_begins_again_where_it_was_left(
    stack: Running, open_page: Open, film: dict[str, Any], viewer: Person
) -> None:
    page, _ = await begin(open_page, stack, film, phone=True)
    await page.evaluate("addEventListener('unload', () => {})")  # such a page is not kept
    await press_play(page)
    await page.evaluate("document.querySelector('video').currentTime = 20")
    await plays_past(page, 21)
    await page.goto("/docs")
    await page.go_back(wait_until="commit")
    session = await press_play(page)
    assert 20 < await position(page) < 35
    assert await seated(stack) == [1]
    await page.wait_for_timeout(5_000)  # longer than the page that was left keeps its seat
    await expect(page.get_by_role("alert")).to_have_count(0)
    assert [seat["id"] for seat in (await viewer.ask("GET", "me/sessions"))["items"]] == [session]
    assert await seated(stack) == [1]


async def test_film_paused_on_a_computer_that_slept_plays_on_by_the_same_address(
    stack: Running, browser: Browser, open_page: Open, film: dict[str, Any]
) -> None:
    page, asked = await begin(open_page, stack, film)
    await press_play(page)
    await page.evaluate("document.querySelector('video').pause()")
    link = await browser.new_browser_cdp_session()
    processes = (await link.send("SystemInfo.getProcessInfo"))["processInfo"]
    pages = [int(one["id"]) for one in processes if one["type"] == "renderer"]
    send_all(pages, signal.SIGSTOP)
    try:
        await lapse(stack)
        await asyncio.sleep(6)  # the start window is over too
    finally:
        send_all(pages, signal.SIGCONT)

    await page.evaluate("media => { media.currentTime = 30; return media.play() }", await page.query_selector("video"))
    await plays_past(page, 31)
    assert await seated(stack) == [1]
    assert len(tokens(asked)) == 1


async def test_page_that_was_left_before_the_film_began_does_not_forget_where_it_goes_on(
    stack: Running, open_page: Open, film: dict[str, Any], viewer: Person, network: FaultChild
) -> None:
    page, _ = await begin(open_page, stack, film)
    await press_play(page)
    await page.evaluate("document.querySelector('video').currentTime = 20")
    await plays_past(page, 21)
    await page.goto("/docs")

    async def known() -> float | None:
        found = await viewer.left_at(film["id"])
        return found if found and found > 20 else None

    await lapse(stack)
    left_at = await until(known, within_s=60, what="the place in the film")
    page, asked = await begin(open_page, stack, film)
    network.set(bandwidth=NARROW / 20)
    await page.get_by_role("button", name=re.compile("^Play ")).first.click()
    await until(signs(asked, 2), within_s=60, what="two beats")
    assert await position(page) <= 0
    await page.goto("/docs")
    network.set()
    await lapse(stack)
    assert await known() == left_at
