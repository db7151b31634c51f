"""The demo title: a master given or drawn, uploaded, made ready and published through the API."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from infra import ffmpeg
from infra.api import Api, Problem
from infra.stack.accounts import SELLER
from infra.stack.home import Home, write_private
from infra.stack.supervisor import Say
from shared.errors import Final, Misconfigured, UsherError

SECONDS, WIDTH, HEIGHT, RATE = 12, 1280, 720, 30
POLL_S = 0.25


class Demo(msgspec.Struct, frozen=True, kw_only=True):
    """The demo title as it stands."""

    title: str
    short_id: str
    name: str
    state: str
    watch_path: str


async def make(home: Home, *, master: Path | None, environ: Mapping[str, str], say: Say) -> Demo | None:
    """The demo title, published; made at the first start, found again at later ones. None when it cannot be had."""
    credentials = home.read_credentials()
    if not credentials or "seller" not in credentials.sessions:
        return None
    api = Api(credentials.origin, credentials.sessions["seller"].bearer)
    try:
        title = await _find(api, home) or await _create(api, home, master)
        if title["state"] == "draft":
            await _upload(api, home, title["id"], master=master, environ=environ, say=say)
        return await _publish(api, title["id"], say=say)
    except UsherError as error:
        say(f"There is no demo title: {error}")
        return None


async def _find(api: Api, home: Home) -> dict[str, Any] | None:
    """What an earlier start made."""
    kept = home.folder / "demo-title"
    if not kept.exists():
        return None
    try:
        return dict(await asyncio.to_thread(api.get, f"titles/{kept.read_text().strip()}"))
    except Problem as problem:
        if problem.status == 404:
            return None
        raise


async def _create(api: Api, home: Home, master: Path | None) -> dict[str, Any]:
    kind = await asyncio.to_thread(kind_of, master) if master else "video"
    about = {"seller": SELLER["handle"], "name": _name(master), "kind": kind, "price_minor": 0}
    title = dict(await asyncio.to_thread(api.post, "titles", about))
    write_private(home.folder / "demo-title", str(title["id"]).encode())
    return title


async def _upload(
    api: Api, home: Home, title: str, *, master: Path | None, environ: Mapping[str, str], say: Say
) -> None:
    """Give the draft its master."""
    clip = master or home.folder / "demo.mp4"
    if not master and not clip.exists():
        say("drawing a demo clip")
        await asyncio.to_thread(draw, clip, ffmpeg.find(environ))
    say(f"uploading {clip.name}")
    await asyncio.to_thread(api.upload, clip, {"title": title, "filename": clip.name})
    if not master:
        clip.unlink()


async def _publish(api: Api, title: str, *, say: Say) -> Demo:
    """Wait until the farm has made it, then put it on show."""
    said = False
    while (told := await asyncio.to_thread(api.get, f"titles/{title}"))["state"] in ("draft", "processing"):
        jobs = (await asyncio.to_thread(api.get, f"titles/{title}/jobs"))["items"]
        if jobs and jobs[0]["state"] in ("failed", "cancelled"):
            raise Final(f"The demo title could not be made: {jobs[0]['last_error']}")
        if not said:
            say("the farm makes the demo title playable")
            said = True
        await asyncio.sleep(POLL_S)
    if told["state"] == "ready":
        await asyncio.to_thread(api.post, f"titles/{title}/publish")
        told = await asyncio.to_thread(api.get, f"titles/{title}")
    return Demo(
        title=told["id"],
        short_id=told["short_id"],
        name=told["name"],
        state=told["state"],
        watch_path=told["watch_url"].removeprefix(api.origin),
    )


def _name(master: Path | None) -> str:
    return master.stem.replace("_", " ").replace("-", " ").strip()[:80] or "Demo" if master else "Colours in motion"


def kind_of(file: Path) -> str:
    """Whether a master is a video or sound alone. Raises Misconfigured when it is neither."""
    import av  # costs a second that a start without a master need not pay

    try:
        with av.open(str(file)) as container:
            pictures = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
            return "video" if pictures else "audio"
    except (av.error.FFmpegError, OSError) as error:
        raise Misconfigured(f"{file} is no video or sound that can be read: {error}") from error


def filters(seconds: int) -> str:
    """Drifting colour, a clock-like test card in the corner to see time and frames pass, and a soft chord."""
    back = (
        f"gradients=s=640x360:r={RATE}:d={seconds}:n=4:speed=0.012:seed=7"
        ":c0=0x1b1035:c1=0x5b2a86:c2=0xe0557b:c3=0xf7b267,"
        f"scale={WIDTH}:{HEIGHT}:flags=bicubic,vignette=angle=0.6[back]"
    )
    card = f"testsrc2=s=320x180:r={RATE}:d={seconds},pad=328:188:4:4:white[card]"
    both = (
        "[back][card]overlay=x=W-w-48:y=H-h-48+10*sin(t*1.6),"
        f"fade=in:d=0.6,fade=out:st={seconds - 0.8}:d=0.8,format=yuv420p[v]"
    )
    chord = "0.11*sin(2*PI*220*t)+0.08*sin(2*PI*277.18*t)+0.07*sin(2*PI*329.63*t)*(0.6+0.4*sin(2*PI*0.5*t))"
    sound = f"aevalsrc=exprs='{chord}':s=48000:d={seconds},afade=in:d=0.8,afade=out:st={seconds - 1}:d=1[a]"
    return ";".join((back, card, both, sound))


def draw(file: Path, program: str, *, seconds: int = SECONDS) -> None:
    """Make the demo master. Blocks a few seconds."""
    inputs = ("-filter_complex", filters(seconds), "-map", "[v]", "-map", "[a]")
    picture = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "18")
    sound = ("-c:a", "aac", "-b:a", "160k")
    command = (
        program,
        "-hide_banner",
        "-loglevel",
        "error",
        "-y",
        *inputs,
        *picture,
        *sound,
        "-movflags",
        "+faststart",
    )
    beside = file.with_name(f"new-{file.name}")
    done = subprocess.run([*command, str(beside)], capture_output=True, text=True)
    if done.returncode:
        raise Misconfigured(f"{program} could not draw the demo clip: {done.stderr.strip()}")
    beside.replace(file)
