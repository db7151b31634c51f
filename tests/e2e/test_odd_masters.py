"""Masters as people have them, watched in a real browser: time goes on over seams, words stand on the picture."""

from __future__ import annotations

import asyncio
import os
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page

from benchmarks.farm.oddities import AS_IT_IS, ODDITIES, TURNED
from tests.e2e.conftest import Open
from tests.e2e.test_browser import press_play
from tests.support import media
from tests.support.api import Person, log_in, until
from tests.support.stack import Running

#: Seconds of film: the first chunk is eight, so there is a seam. It is watched at this many times its pace.
SECONDS, PACE = 14, 4
#: A film that is not at its end by then hangs.
WATCH_S = 90
#: `make chaos` asks for more rounds: then all masters; else those that differ most from each other.
IS_LONG = int(os.environ.get("USHER_CHAOS_ROUNDS", "1")) > 1
WATCHED = (
    "changing pace",
    "29.97 in a transport stream",
    "late sound",
    "HDR",
    "to be copied",
)
#: How many are watched at once, each by a guest of its own.
AT_ONCE = 3
#: Keeps every buffer that hls.js fills.
KEEP_BUFFERS = """
window.buffers = [];
const add = MediaSource.prototype.addSourceBuffer;
MediaSource.prototype.addSourceBuffer = function (type) {
  const made = add.call(this, type);
  window.buffers.push(made);
  return made;
};
"""
#: Until all of the film is in the browser.
FETCHED = """() => {
  const { buffered, duration } = document.querySelector("video");
  return buffered.length && buffered.end(buffered.length - 1) > duration - 0.5;
}"""
#: Plays to the end at a pace, anew where it stands there; where it had to jump (as hls.js does where it stands still
#: with film at hand), and what the buffers hold: [start, end] of each range.
TO_THE_END = """async (pace) => {
  const media = document.querySelector("video");
  if (media.ended) {
    const sought = new Promise((done) => media.addEventListener("seeked", done, { once: true }));
    media.currentTime = 0;
    await sought;
  }
  const jumps = [];
  media.addEventListener("seeking", () => jumps.push(media.currentTime));
  media.muted = true;
  media.playbackRate = pace;
  await media.play();
  await new Promise((done, failed) => {
    media.addEventListener("ended", done, { once: true });
    media.addEventListener("error", () => failed(new Error(media.error.message)), { once: true });
    if (media.ended) done();
  });
  const range = (buffered, index) => [buffered.start(index), buffered.end(index)];
  const ranges = ({ buffered }) => Array.from(buffered, (_, index) => range(buffered, index));
  const { currentTime: at, duration } = media;
  return { jumps, at, duration, film: ranges(media), each: window.buffers.map(ranges) };
}"""


def masters() -> dict[str, Path]:
    """What comes in, by name."""
    made = {
        name: media.master(f"e2e-{odd.name}", *odd.arguments(int(SECONDS * Fraction(odd.rate))))
        for name, odd in ODDITIES.items()
        if IS_LONG or name in WATCHED
    }
    if IS_LONG:
        made["turned"] = media.master("e2e-turned.mp4", *TURNED, "-i", str(made["plain"]), *AS_IT_IS)
    return made


@pytest.fixture
def stack(plain_stack: Running) -> Running:
    """A running Usher with clocks as long as in production."""
    return plain_stack


@pytest.fixture
async def films(stack: Running) -> dict[str, str]:
    """The path of a published title's watch page, by the name of its master."""
    seller = await log_in(stack, "seller")
    titles = {await upload(seller, name, master): name for name, master in masters().items()}

    async def whole() -> bool | None:
        items = [one for one in (await seller.ask("GET", "studio/titles?limit=100"))["items"] if one["id"] in titles]
        assert [item["job"]["last_error"] for item in items if item["job"]["state"] == "failed"] == []
        await asyncio.sleep(0.5)
        return all(item["state"] == "ready" for item in items) or None

    await until(whole, within_s=300, what="all titles ready")
    found = {name: await seller.ask("POST", f"titles/{title}/publish") for title, name in titles.items()}
    await seller.close()
    return {name: str(title["watch_url"]) for name, title in found.items()}


async def upload(seller: Person, name: str, master: Path) -> str:
    """A title whose master is in."""
    title = await seller.make_title(name=name, kind="video", price_minor=0)
    address = await seller.begin_upload(title, master)
    await seller.send(address, master.read_bytes(), offset=0)
    return title


async def test_time_goes_on_over_every_seam_of_every_odd_master(films: dict[str, str], open_page: Open) -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def watched(name: str, path: str) -> tuple[str, list[str]]:
        async with places:
            page = await open_page()
            seen = await watch(page, path)
            await page.context.close()
            return name, faults(seen)

    found = await asyncio.gather(*(watched(*one) for one in films.items()))
    assert {name: words for name, words in found if words} == {}


async def watch(page: Page, path: str) -> dict[str, Any]:
    """Watch a film to its end."""
    await page.add_init_script(KEEP_BUFFERS)
    await page.goto(path)
    await press_play(page)
    await page.wait_for_function(FETCHED)
    return await to_the_end(page, PACE)


async def to_the_end(page: Page, pace: int) -> dict[str, Any]:
    """Watch the rest at a quick pace; what was seen of it. A busy machine stands still anywhere, a film at one place:
    who had to jump watches it again, at ease, and what does not come again was the machine's."""
    async with asyncio.timeout(WATCH_S):
        seen = dict(await page.evaluate(TO_THE_END, pace))
    for slower in (2, 1):
        if seen["jumps"]:
            async with asyncio.timeout(2 * WATCH_S):
                again = dict(await page.evaluate(TO_THE_END, slower))
            again["jumps"] = [at for at in seen["jumps"] if any(abs(at - other) < 1 for other in again["jumps"])]
            seen = again
    return seen


def faults(seen: dict[str, Any]) -> list[str]:
    """What a viewer would notice."""
    found = [f"jumped to {seen['jumps']}"] if seen["jumps"] else []
    if seen["duration"] < SECONDS - 0.5 or seen["at"] < seen["duration"] - 0.2:
        found.append(f"ended at {seen['at']} of {seen['duration']}")
    if any(len(ranges) != 1 for ranges in (seen["film"], *seen["each"])):
        found.append(f"has holes: {seen['film']} of {seen['each']}")
    starts = [ranges[0][0] for ranges in seen["each"] if ranges]
    if not starts or max(starts) - min(starts) >= 0.001:
        found.append(f"picture and sound begin at {starts}")
    return found
