"""From a master to every frame in an ordinary player, on the folder bucket and on S3."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator

import httpx2
import pytest

from infra import ffmpeg
from tests.support import media, s3
from tests.support.api import Person, log_in
from tests.support.stack import Running, running_stack

SECONDS, RATE = 10, 25


@pytest.fixture(scope="module", params=["folder", "s3"])
def stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    if request.param == "folder":
        yield request.getfixturevalue("plain_stack")
        return
    with s3.moto(tmp_path_factory.mktemp("moto")) as server:
        asyncio.run(server.make_bucket("pictures"))
        environ = server.environ("pictures")
        with running_stack(tmp_path_factory.mktemp("path-s3"), demo=False, environ=environ) as running:
            yield running


async def test_every_frame_arrives_in_an_ordinary_player_when_a_master_was_uploaded(
    stack: Running, seller: Person
) -> None:
    picture = media.picture("640x360", str(RATE), SECONDS)
    master = media.master("every-frame.mp4", *picture, *media.tone(SECONDS), *media.H264, "-c:a", "aac")
    title = await seller.make_title(name="Every frame", kind="video", price_minor=0)
    upload = await seller.begin_upload(title, master)
    await seller.send(upload, master.read_bytes(), offset=0)
    await seller.wait_ready(title)
    await seller.ask("POST", f"titles/{title}/publish")

    play = await seller.ask("POST", f"titles/{title}/play")
    frames, refused = await watch(play["url"])
    assert frames == SECONDS * RATE
    assert refused == ""

    await seller.ask("PUT", f"titles/{title}/takedown", 403, reason="test", notice="Not the platform.")
    admin = await log_in(stack, "admin")
    await admin.ask("PUT", f"titles/{title}/takedown", 200, reason="court order", notice="Taken down for a test.")
    async with httpx2.AsyncClient(timeout=60) as http:
        await _until_gone(http, play["url"])
    await admin.ask("POST", f"titles/{title}/play", 410)
    await admin.close()


async def watch(url: str) -> tuple[int, str]:
    """Play the address to its end at full speed; frames decoded, and what ffmpeg complained of."""
    command = [ffmpeg.find({}), "-hide_banner", "-loglevel", "warning", "-nostdin", "-i", url]
    command += ["-map", "0:v:0", "-f", "null", "-", "-progress", "pipe:1", "-nostats"]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await asyncio.wait_for(process.communicate(), 120)
    refusal = re.compile(r"HTTP error|Server returned|[Ff]ailed")
    complaints = [line for line in errors.decode().splitlines() if refusal.search(line)]
    return int(re.findall(r"frame=(\d+)", out.decode())[-1]), "\n".join(complaints)


async def _until_gone(http: httpx2.AsyncClient, url: str) -> None:
    for _ in range(200):
        if (await http.get(url)).status_code == 410:
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the taken-down title still plays")
