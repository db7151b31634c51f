"""Masters for tests, made with ffmpeg's own sources at test time and kept for the session; none is ever committed."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import imageio_ffmpeg

#: Both ffmpegs that commands must run on: the one of the system, where there is one, and the wheel's.
WHEEL = str(imageio_ffmpeg.get_ffmpeg_exe())
SYSTEM = shutil.which("ffmpeg")
FFMPEGS = {"wheel": WHEEL} | ({"system": SYSTEM} if SYSTEM else {})

_FOLDER = Path(tempfile.mkdtemp(prefix="usher-masters-"))
_made: dict[str, Path] = {}
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-pix_fmt", "yuv420p")


def picture(size: str = "320x180", rate: str = "25", seconds: float = 5) -> tuple[str, ...]:
    """A moving test picture as an input."""
    return ("-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration={seconds}")


def tone(seconds: float = 5, rate: int = 44100) -> tuple[str, ...]:
    """A tone as an input."""
    return ("-f", "lavfi", "-i", f"sine=frequency=440:sample_rate={rate}:duration={seconds}")


def clap(seconds: float = 6, at: float = 3, rate: str = "25") -> tuple[str, ...]:
    """A black picture that turns white at `at`, and silence in which a tone starts at the same moment, as inputs."""
    flash = f"color=black:s=320x180:r={rate}:d={seconds},drawbox=c=white:t=fill:enable='gte(t,{at}-0.0001)'"
    beep = f"aevalsrc='if(gte(t,{at}),0.8*sin(2*PI*1000*t),0)':s=48000:d={seconds}"
    return ("-f", "lavfi", "-i", flash, "-f", "lavfi", "-i", beep)


def master(name: str, *arguments: str) -> Path:
    """The file `name` made by ffmpeg with `arguments`, once a session; other arguments make another file."""
    path = _FOLDER / hashlib.sha256("\0".join(arguments).encode()).hexdigest()[:16] / name
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        partial = path.with_name(f"new-{name}")
        command = [WHEEL, "-v", "error", "-nostdin", "-y", *arguments, str(partial)]
        subprocess.run(command, check=True, capture_output=True)
        partial.rename(path)
    _made[name] = path
    return path


def made(name: str) -> Path:
    """The master of that name that was asked for last."""
    return _made[name]


def derived(name: str, change: Callable[[bytes], bytes], source: Path) -> Path:
    """The file `name` with the bytes of `source` changed."""
    path = _FOLDER / name
    path.write_bytes(change(source.read_bytes()))
    return path


def written(name: str, data: bytes) -> Path:
    """The file `name` with these bytes."""
    path = _FOLDER / name
    path.write_bytes(data)
    return path


def plain() -> Path:
    """Five seconds of 320x180 at 25 with a tone: 125 frames."""
    return master("plain.mp4", *picture(), *tone(), *H264, "-c:a", "aac", "-shortest")


def remove_all() -> None:
    """Delete every master made so far."""
    shutil.rmtree(_FOLDER, ignore_errors=True)
