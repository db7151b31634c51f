"""Sound in two languages, in stereo and surround: what a viewer chooses in the menu is what is heard."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.e2e.conftest import Open
from tests.e2e.test_browser import press_play
from tests.e2e.test_odd_masters import upload
from tests.support import media
from tests.support.api import Person

SECONDS = 12
#: A tone a language.
GERMAN_HZ, ENGLISH_HZ = 330, 880
PATIENCE_MS = 60_000
#: Listens to the film: `heard()` is the pitch that is loudest now, in Hz; 0 where it is silent.
LISTEN = """() => {
  const media = document.querySelector("video");
  media.loop = true;
  const context = new AudioContext();
  const analyser = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
  context.createMediaElementSource(media).connect(analyser);
  analyser.connect(context.destination);
  const levels = new Float32Array(analyser.frequencyBinCount);
  window.heard = () => {
    analyser.getFloatFrequencyData(levels);
    const top = levels.indexOf(Math.max(...levels));
    return levels[top] > -60 ? (top * context.sampleRate) / analyser.fftSize : 0;
  };
}"""


@pytest.fixture(scope="module")
def master() -> Path:
    """A film whose German is in stereo, and whose English is in 5.1."""
    german, english = (
        ("-f", "lavfi", "-i", f"aevalsrc='0.5*sin(2*PI*{pitch}*t)':s=48000:d={SECONDS}")
        for pitch in (GERMAN_HZ, ENGLISH_HZ)
    )
    tracks = ("-map", "0:v", "-map", "1:a", "-map", "2:a", "-c:a", "aac", "-ac:a:0", "2", "-ac:a:1", "6")
    languages = ("-metadata:s:a:0", "language=deu", "-metadata:s:a:1", "language=eng", "-disposition:a:0", "default")
    inputs = (*media.picture("160x90", seconds=SECONDS), *german, *english)
    return media.master("e2e-languages.mp4", *inputs, *tracks, *languages, *media.H264)


async def test_language_that_a_viewer_chooses_on_a_phone_is_heard(
    seller: Person, open_page: Open, master: Path, shots: Path | None
) -> None:
    title = await upload(seller, "The two coasts", master)
    await seller.wait_ready(title)
    shown = await seller.ask("POST", f"titles/{title}/publish")
    page = await open_page(phone=True)
    await page.goto(shown["watch_url"])
    await press_play(page)
    await page.evaluate(LISTEN)
    await hears(page, GERMAN_HZ)

    await page.locator("media-settings-menu-button").click()
    await page.locator("[data-menu-of=sound]").click()
    menu = page.locator("media-audio-track-menu")
    choice = menu.get_by_text("English", exact=True)
    await expect(choice).to_be_visible()
    if shots:
        await page.screenshot(path=shots / "sound-menu.png")
    box, stage = await choice.bounding_box(), await page.locator("#stage").bounding_box()
    assert box and stage
    assert stage["y"] <= box["y"] and box["y"] + box["height"] <= stage["y"] + stage["height"]
    await choice.click()
    await hears(page, ENGLISH_HZ)


async def hears(page: Page, pitch: int) -> None:
    """Until the film sounds at this pitch."""
    await page.wait_for_function("pitch => Math.abs(heard() - pitch) < 20", arg=pitch, timeout=PATIENCE_MS)
