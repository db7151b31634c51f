"""A ladder with a rung in AV1, made by the farm in chunks and watched in a real browser."""

from __future__ import annotations

import functools
import hashlib
import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser

from farm import prober
from farm.plan import Plan, Recipe
from farm.planning import plan
from infra.tree import ROOT
from shared.ladder import Rung
from shared.storage import names
from tests.support import farm as farms
from tests.support import media

SECONDS, RATE = 10, 25
LADDER = (Rung(180, 26, 600), Rung(120, 40, 200, codec="av1"))
VENDOR = ROOT / "gateway/web/static/vendor"
PAGE = "<!doctype html><title>AV1</title><link rel=icon href=data:,><video muted></video>"
#: Plays the playlist with levels of one codec, changes over to another after half of it, and says what was seen: the
#: heights of pictures and when, what is buffered, and how many frames were decoded.
PLAY = """async ([playlist, first, then]) => {
  const { default: Hls } = await import("/hls.mjs");
  const media = document.querySelector("video"), heights = [], faults = [];
  const hls = new Hls({ enableWorker: false, autoStartLoad: false, maxBufferLength: 4 });
  const level = (codec) => hls.levels.findIndex(({ videoCodec }) => videoCodec.startsWith(codec));
  hls.on(Hls.Events.ERROR, (_, { fatal, details }) => faults.push(`${details}${fatal ? ", fatal" : ""}`));
  hls.loadSource(playlist);
  await new Promise((done) => hls.once(Hls.Events.MANIFEST_PARSED, done));
  const codecs = hls.levels.map(({ videoCodec }) => videoCodec);
  hls.loadLevel = level(first);
  hls.attachMedia(media);
  hls.startLoad(0);
  media.addEventListener("resize", () => heights.push(media.videoHeight));
  media.addEventListener("timeupdate", () => {
    if (media.currentTime > media.duration / 2 && hls.loadLevel !== level(then)) hls.nextLevel = level(then);
  });
  media.playbackRate = 2;
  await media.play();
  await new Promise((done) => media.addEventListener("ended", done, { once: true }));
  const { buffered, currentTime: at, duration } = media;
  const frames = media.getVideoPlaybackQuality().totalVideoFrames;
  return { codecs, heights, faults, at, duration, ranges: buffered.length, frames };
}"""


async def made(farm: farms.Farm) -> tuple[Plan, str]:
    """A film in two chunks: its plan, and its best playlist."""
    master = media.master(
        "av1.mp4", *media.picture(seconds=SECONDS), *media.tone(SECONDS), *media.H264, "-g", "37", "-c:a", "aac"
    )
    await farm.bucket.put_file(farms.MASTER, master)
    folder = farm.on.settings.scratch_dir
    folder.mkdir(parents=True, exist_ok=True)
    info = await prober.look(master, folder, sound_only=False, stop=farm.stop)
    sha256 = hashlib.sha256(master.read_bytes()).hexdigest()
    whole = plan(info, Recipe(farms.TITLE, sha256, "x264", "test", ladder=LADDER))
    cut = await farms.in_pieces(farm, whole, segments=2)
    for chunk in cut.chunks:
        assert await farm.chunk(cut, chunk) == "done", (await farm.messages())[-1]
    assert await farm.finalise(cut) == "done", (await farm.messages())[-1]
    ready = (await farm.messages())[-1]
    return cut, names.multivariant(cut.title, ready.edition, "180")  # type: ignore[union-attr]


class Shelf(http.server.SimpleHTTPRequestHandler):
    """The bucket, a page and the player."""

    def guess_type(self, path: str | os.PathLike[str]) -> str:
        return "text/javascript" if str(path).endswith(".mjs") else super().guess_type(path)

    def translate_path(self, path: str) -> str:
        return str(VENDOR / path[1:]) if path == "/hls.mjs" else super().translate_path(path)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[str]:
    """The address of what lies in the bucket."""
    folder = tmp_path / "bucket"
    folder.mkdir()
    (folder / "index.html").write_text(PAGE)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Shelf, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


async def test_an_av1_rung_plays_over_every_seam_and_gives_way_to_another(
    tmp_path: Path, redis_url: str, browser: Browser, shelf: str
) -> None:
    async with farms.farm(tmp_path, redis_url) as farm:
        cut, playlist = await made(farm)
    assert len(cut.pieces) == 2
    for then, heights in (("av01", [120]), ("avc1", [120, 180])):
        page = await browser.new_page(base_url=shelf)
        await page.goto("/index.html")

        seen = await page.evaluate(PLAY, [f"/{playlist}", "av01", then])

        assert sorted(seen["codecs"]) == ["av01.0.00M.08", "avc1.64000d"]
        assert (seen["heights"], seen["faults"], seen["ranges"]) == (heights, [], 1)
        assert seen["at"] == pytest.approx(seen["duration"]) == pytest.approx(SECONDS, abs=0.05)
        assert seen["frames"] >= SECONDS * RATE * 0.95
