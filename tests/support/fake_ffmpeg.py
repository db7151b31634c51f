"""An ffmpeg on a machine with a card that nobody has: the real one, its card's part played by the CPU or failing as
cards fail, in the words that ffmpeg uses.

`python fake_ffmpeg.py` is that program; `fake_ffmpeg()` makes it one file with a way to behave:
`works` · `no-libcuda` · `no-unit` (a card that does not encode) · `out-of-memory` (above `cap` sessions at once, over
all processes) · `crash` · `hang` · `garbage` · `dies` (a moment into its first chunk, for good) · `dies-later` (with
all chunks but the first) · `broken` (without a word of the card). What does not ask for a card is always done.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

import imageio_ffmpeg

LIBCUDA = "[h264_nvenc @ 0x55d0c8] Cannot load libcuda.so.1\nError while opening encoder"
NO_UNIT = (
    "[h264_nvenc @ 0x55d0c8] OpenEncodeSessionEx failed: unsupported device (2): (no details)\n"
    "[h264_nvenc @ 0x55d0c8] No capable devices found\nError while opening encoder"
)
FULL = (
    "[h264_nvenc @ 0x55d0c8] OpenEncodeSessionEx failed: out of memory (10): (no details)\n"
    "[h264_nvenc @ 0x55d0c8] No capable devices found\nError while opening encoder"
)
DEAD = (
    "[h264_nvenc @ 0x55d0c8] Failed locking bitstream buffer: generic error (20): (no details)\n"
    "[AVHWDeviceContext @ 0x55d0c8] cu->cuCtxPushCurrent(hwctx->cuda_ctx) failed -> CUDA_ERROR_UNKNOWN: unknown error"
)
#: What the first picture of each piece that was encoded "by the card" holds.
MARK = b"made by the card that nobody has"
_MARKED = ("-bsf:v", f"h264_metadata=sei_user_data=5f1c2c5e-7a0e-4c55-9d0b-0d6a3c1e9b11+{MARK.decode()}")
#: Options of h264_nvenc that x264 has not, each with a value.
_NVENC_ONLY = frozenset(
    {"-b_ref_mode", "-cq", "-forced-idr", "-multipass", "-no-scenecut", "-rc", "-rc-lookahead", "-spatial-aq"}
) | {"-strict_gop", "-tune", "-b:v"}
_CARD_INPUT = frozenset({"-hwaccel", "-hwaccel_output_format", "-extra_hw_frames", "-init_hw_device"})
#: Filters of a card, and what stands for them on the CPU.
_FILTERS = (
    ("format=cuda|nv12|yuv420p", "null"),
    ("hwupload", "null"),
    ("hwdownload", "null"),
    ("yadif_cuda", "yadif"),
    (":format=nv12:interp_algo=bicubic:passthrough=0", ":flags=bicubic"),
    ("scale_cuda", "scale"),
)


def fake_ffmpeg(folder: Path, how: str, *, cap: int = 16) -> str:
    """The program as one file in `folder`, which also holds what it remembers."""
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / f"ffmpeg-{how}"
    root = Path(__file__).parents[2]
    program.write_text(f'#!/bin/sh\nPYTHONPATH={root} exec {sys.executable} {__file__} {how} {cap} {folder} "$@"\n')
    program.chmod(0o755)
    return str(program)


def main(how: str, folder: Path, arguments: list[str], *, cap: int) -> NoReturn:
    """Behave. What it replaces itself with keeps its locks, so sessions end when the work does."""
    encodes, on_card = arguments.count("h264_nvenc"), any("cuda" in argument for argument in arguments)
    if encodes or on_card:
        outputs = [Path(name) for name in arguments if name.endswith(".mp4") and not name.startswith("file:")]
        _trouble(how, folder, encodes, outputs=outputs)
        if not _sessions(folder, encodes, 1000 if how == "works" else cap):
            sys.exit(FULL)
    wheel = imageio_ffmpeg.get_ffmpeg_exe()
    os.execv(wheel, [wheel, *on_cpu(arguments)])  # noqa: S606 - it becomes the real one


def _trouble(how: str, folder: Path, encodes: int, *, outputs: list[Path]) -> None:
    """What goes wrong, in ffmpeg's words; some of it in no words at all."""
    died = folder / "died"
    if how == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "hang":
        time.sleep(3600)
    if how == "garbage":
        sys.stderr.buffer.write(os.urandom(4096))
        for output in outputs:
            output.write_bytes(os.urandom(100_000))
        sys.exit(0 if outputs else 1)
    if how == "dies" and outputs:
        time.sleep(0 if died.exists() else 0.3)
        died.touch()
        sys.exit(DEAD)
    if how == "dies-later" and outputs:
        with contextlib.suppress(FileExistsError):
            died.touch(exist_ok=False)
            return
        sys.exit(DEAD)
    if how == "no-unit" and encodes:
        sys.exit(NO_UNIT)
    if words := {"no-libcuda": LIBCUDA, "broken": "Conversion failed!"}.get(how):
        sys.exit(words)


def _sessions(folder: Path, count: int, cap: int) -> bool:
    """Open so many sessions of the machine's `cap`; they close with the process."""
    opened = 0
    for number in range(cap):
        lock = os.open(folder / f"session-{number}", os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        os.set_inheritable(lock, True)
        opened += 1
        if opened >= count:
            return True
    return opened >= count


def on_cpu(arguments: list[str]) -> list[str]:
    """The same work for a machine without a card."""
    made: list[str] = []
    left = iter(arguments)
    for argument in left:
        if argument in _NVENC_ONLY | _CARD_INPUT:
            next(left)
            continue
        made.append({"h264_nvenc": "libx264", "p5": "veryfast"}.get(argument, _filtered(argument)))
        if argument == "h264_nvenc":
            made += _MARKED
    return made


def _filtered(argument: str) -> str:
    for card, cpu in _FILTERS:
        argument = argument.replace(card, cpu)
    return argument


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[3]), sys.argv[4:], cap=int(sys.argv[2]))
