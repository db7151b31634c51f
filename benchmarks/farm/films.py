"""Masters of the bench: made by ffmpeg's own sources, or cut from a clip that is given. Each is made once a run."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path
from typing import Literal

import msgspec

from benchmarks.farm import cpu

#: ffmpeg's own pictures: much detail under a slow zoom with a little grain; a test card; soft colours that drift.
PICTURES = {
    "detailed": "mandelbrot=size={size}:rate={rate}:start_scale=1.2:end_scale=0.002:end_pts=1500,noise=alls=3:allf=t",
    "card": "testsrc2=size={size}:rate={rate}",
    "soft": "gradients=size={size}:rate={rate}:speed=0.02:nb_colors=4:seed=7",
}
SOUND = "sine=frequency=330:beep_factor=4:sample_rate=48000"


class Film(msgspec.Struct, frozen=True, kw_only=True):
    """A master: what is seen and for how long. With a clip given, `detailed` is its picture, repeated as need be.

    `closed`: each GOP begins with an IDR. `kbps`: an average rate that is not passed, 0 for near the source's quality.
    """

    picture: Literal["detailed", "card", "soft"] = "detailed"
    size: str = "1280x720"
    rate: str = "25"
    seconds: float = 24
    gop_s: float = 2
    closed: bool = True
    kbps: int = 0
    preset: str = "veryfast"
    sound: bool = True

    @property
    def gop_frames(self) -> int:
        """Frames from key frame to key frame."""
        return max(1, round(Fraction(self.rate) * Fraction(self.gop_s)))

    @property
    def name(self) -> str:
        """The file's name: its own hash."""
        return f"{self.picture}-{hashlib.sha256(msgspec.json.encode(self)).hexdigest()[:12]}.mp4"


class Films:
    """The masters of one run. `clip`: a file whose picture stands for the real thing; None: none is at hand."""

    def __init__(self, folder: Path, ffmpeg: str, clip: Path | None = None) -> None:
        self.folder, self.clip, self._ffmpeg = folder, clip, ffmpeg
        folder.mkdir(parents=True, exist_ok=True)

    async def film(self, film: Film) -> Path:
        """A master of this kind. Raises Failed."""
        return await self.made(film.name, *arguments(film, self.clip))

    async def made(self, name: str, *options: str) -> Path:
        """The file `name` as ffmpeg makes it of `options`, inputs among them. Raises Failed."""
        path = self.folder / name
        if not path.exists():
            partial = path.with_name(f"new-{name}")
            argv = [self._ffmpeg, "-hide_banner", "-v", "error", "-nostdin", "-y", *options, str(partial)]
            await cpu.run(argv, self.folder)
            partial.rename(path)
        return path

    @property
    def words(self) -> str:
        """What they are made of, for the page."""
        return f"cut from {self.clip.name}" if self.clip else "drawn by ffmpeg's own sources"


def arguments(film: Film, clip: Path | None) -> list[str]:
    """ffmpeg's options for a film, inputs first."""
    width, height = film.size.split("x")
    if clip is not None and film.picture == "detailed":
        picture = ["-stream_loop", "-1", "-i", str(clip)]
        fitted = f"scale={width}:{height}:flags=bicubic,setsar=1,fps={film.rate},format=yuv420p"
    else:
        source = PICTURES[film.picture].format(size=film.size, rate=film.rate)
        picture, fitted = ["-f", "lavfi", "-i", source], "format=yuv420p"
    sound = ["-f", "lavfi", "-i", SOUND, "-map", "0:v:0", "-map", "1:a:0", "-c:a", "aac", "-b:a", "128k"]
    frames = str(round(Fraction(film.rate) * Fraction(film.seconds)))
    length = ["-frames:v", frames, "-t", f"{film.seconds:g}"]
    return [*picture, *(sound if film.sound else ["-map", "0:v:0"]), "-vf", fitted, *length, *_coding(film)]


def _coding(film: Film) -> list[str]:
    gop = str(film.gop_frames)
    rate = ["-b:v", f"{film.kbps}k", "-maxrate", f"{film.kbps}k", "-bufsize", f"{film.kbps}k"] if film.kbps else []
    return [
        *("-c:v", "libx264", "-preset", film.preset, "-profile:v", "high", "-g", gop, "-keyint_min", gop),
        *("-sc_threshold", "0", "-bf", "2", *(rate or ["-crf", "14"])),
        *([] if film.closed else ["-x264-params", "open-gop=1"]),
        *("-movflags", "+faststart"),
    ]
