"""One process: watched, confined, and gone when it should be."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from farm import command, run
from farm.encoders import NVENC, X264
from farm.engine import _PROOF, find, works
from farm.grid import grid
from shared.errors import EncodeFailed, Misconfigured, Stopped
from shared.settings import FarmSettings
from tests.support import media
from tests.support.patience import written

LIMITS = run.Limits(deadline_s=20, stall_s=20)


def script(folder: Path, body: str) -> list[str]:
    """A fake ffmpeg."""
    path = folder / "ffmpeg.sh"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return [str(path)]


async def gone(pid: int) -> None:
    """Wait until no such process runs."""
    until = time.monotonic() + 60
    while Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
        assert time.monotonic() < until, f"{pid} still runs"
        await asyncio.sleep(0.02)


async def test_a_hanging_ffmpeg_is_ended_with_its_children(tmp_path: Path) -> None:
    argv = script(tmp_path, "trap '' TERM; sleep 600 & echo $! > child; echo frame=1; echo progress=continue; wait")

    with pytest.raises(EncodeFailed, match="no progress for 1 s") as failed:
        await run.run(argv, tmp_path, run.Limits(deadline_s=20, stall_s=1))

    assert failed.value.code == "stalled"
    await gone(int(await written(tmp_path / "child")))


async def test_a_report_that_says_nothing_new_is_no_progress(tmp_path: Path) -> None:
    argv = script(tmp_path, "while :; do echo frame=7; echo progress=continue; sleep 0.1; done")

    with pytest.raises(EncodeFailed, match="no progress"):
        await run.run(argv, tmp_path, run.Limits(deadline_s=20, stall_s=1))


async def test_a_process_that_only_reads_does_not_stall_while_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long index on a slow disk; the process that is watched is this one."""
    (tmp_path / "master").write_bytes(bytes(2 * run.READ_BYTES))
    watch = run._Watch(run.Limits(deadline_s=1000, stall_s=30), lambda _: None, os.getpid())
    now = watch._now()
    monkeypatch.setattr(watch, "_now", lambda: now)
    (tmp_path / "master").read_bytes()
    now += 31
    watch.check()
    now += 31

    with pytest.raises(EncodeFailed, match="no progress for 30 s"):
        watch.check()


async def test_the_deadline_ends_one_that_makes_progress(tmp_path: Path) -> None:
    argv = script(tmp_path, "n=0; while :; do n=$((n+1)); echo frame=$n; echo progress=continue; sleep 0.1; done")

    with pytest.raises(EncodeFailed, match="not done after 1 s") as failed:
        await run.run(argv, tmp_path, run.Limits(deadline_s=1, stall_s=20))
    assert failed.value.code == "deadline"


async def test_reports_are_told_and_last_words_kept(tmp_path: Path) -> None:
    told: list[run.Progress] = []
    body = "echo frame=50; echo out_time_us=2000000; echo speed=1.5x; echo progress=end; echo oh no >&2; exit 3"

    with pytest.raises(EncodeFailed, match=r"gave up \(3\): oh no") as failed:
        await run.run(script(tmp_path, body), tmp_path, LIMITS, on_progress=told.append)

    assert told == [run.Progress(50, 2.0, 1.5)]
    assert failed.value.details["lines"] == ["oh no"]


async def test_killed_from_outside_is_no_fault_of_the_input(tmp_path: Path) -> None:
    running = asyncio.create_task(run.run(script(tmp_path, "echo $$ > pid; sleep 600"), tmp_path, LIMITS))
    os.kill(int(await written(tmp_path / "pid")), signal.SIGKILL)

    with pytest.raises(EncodeFailed, match="SIGKILL") as failed:
        await running
    assert (failed.value.code, failed.value.details["lost"]) == ("killed", True)


async def test_a_program_that_does_not_start_is_no_fault_of_the_input(tmp_path: Path) -> None:
    with pytest.raises(EncodeFailed, match="does not start: No such file") as failed:
        await run.run([str(tmp_path / "ffmpeg")], tmp_path, LIMITS)
    assert (failed.value.code, failed.value.details["lost"]) == ("not-started", True)


async def test_a_full_disk_is_no_fault_of_the_input(tmp_path: Path) -> None:
    body = "echo 'av_interleaved_write_frame(): No space left on device' >&2; echo 'Conversion failed!' >&2; exit 228"
    with pytest.raises(EncodeFailed) as failed:
        await run.run(script(tmp_path, body), tmp_path, LIMITS)

    assert (failed.value.code, failed.value.details["lost"]) == ("no-space", True)


@pytest.mark.parametrize("body", ["kill -SEGV $$", "exit 137", "trap '' TERM; echo progress=x; sleep 600"])
async def test_a_crash_a_bad_end_and_our_own_kill_are_not_taken_for_a_lost_worker(tmp_path: Path, body: str) -> None:
    with pytest.raises(EncodeFailed) as failed:
        await run.run(script(tmp_path, body), tmp_path, run.Limits(deadline_s=20, stall_s=1))

    assert failed.value.code != "killed"
    assert not failed.value.details.get("lost")


async def test_stop_is_polite_first(tmp_path: Path) -> None:
    stop = asyncio.Event()
    body = "trap 'echo bye > bye; exit 0' TERM; echo $$ > pid; while :; do sleep 0.05; done"
    running = asyncio.create_task(run.run(script(tmp_path, body), tmp_path, LIMITS, stop=stop))
    await written(tmp_path / "pid")
    stop.set()

    with pytest.raises(Stopped):
        await running
    assert (tmp_path / "bye").read_text() == "bye\n"


async def test_cancelling_leaves_no_process(tmp_path: Path) -> None:
    running = asyncio.create_task(run.run(script(tmp_path, "echo $$ > pid; exec sleep 600"), tmp_path, LIMITS))
    pid = int(await written(tmp_path / "pid"))
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    await gone(pid)


async def test_it_sees_nothing_of_our_environment_and_works_in_its_own_folder(tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "USHER_REDIS_URL": "redis://:secret@x", "AWS_SECRET_ACCESS_KEY": "k"}
    await run.run(script(tmp_path, "env > env; pwd > pwd; ulimit -n > files"), tmp_path, LIMITS, environ=environ)

    seen = (tmp_path / "env").read_text()
    assert "secret" not in seen
    assert "AWS" not in seen
    assert (tmp_path / "pwd").read_text().strip() == str(tmp_path)
    assert (tmp_path / "files").read_text().strip() == "256"


async def test_a_file_that_grows_over_its_bound_fails(tmp_path: Path) -> None:
    argv = [media.WHEEL, "-v", "error", "-nostdin", *media.picture(seconds=20), "-f", "rawvideo", "out"]

    with pytest.raises(EncodeFailed):
        await run.run(argv, tmp_path, run.Limits(deadline_s=20, stall_s=20, file_bytes=1 << 20))
    assert (tmp_path / "out").stat().st_size <= 1 << 20


async def test_ffmpeg_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys; from pathlib import Path; from farm import run\n"
        "asyncio.run(run.run([sys.argv[1]], Path(sys.argv[2]), run.Limits(deadline_s=60, stall_s=60)))"
    )
    argv = script(tmp_path, "echo $$ > pid; exec sleep 600")
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", program, argv[0], str(tmp_path))
    pid = int(await written(tmp_path / "pid"))
    parent.kill()
    await parent.wait()

    await gone(pid)


async def test_the_master_cannot_make_ffmpeg_open_another_protocol(tmp_path: Path) -> None:
    """A playlist that got past the sniffing is not read as one: the demuxer is named, files are all it may open."""
    playlist = tmp_path / "m"
    playlist.write_bytes(b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nhttp://127.0.0.1:1/x.ts\n")
    argv = [
        media.WHEEL,
        "-v",
        "error",
        "-f",
        "mov",
        "-protocol_whitelist",
        "file",
        "-i",
        f"file:{playlist}",
        "-f",
        "null",
        "-",
    ]

    with pytest.raises(EncodeFailed, match=r"Invalid data|moov"):
        await run.run(argv, tmp_path, LIMITS)


@pytest.mark.parametrize("ffmpeg", media.FFMPEGS.values(), ids=media.FFMPEGS)
async def test_an_encoder_is_proven_by_encoding(tmp_path: Path, ffmpeg: str) -> None:
    assert await works(ffmpeg, X264, tmp_path)
    proof = command.proof(ffmpeg, NVENC, NVENC.options(_PROOF, grid(25)))
    assert proof[-1] == "-"


@pytest.mark.parametrize("ffmpeg", media.FFMPEGS.values(), ids=media.FFMPEGS)
async def test_auto_takes_x264_where_nvenc_is_listed_but_cannot_encode(tmp_path: Path, ffmpeg: str) -> None:
    hidden = FarmSettings(ffmpeg=ffmpeg, scratch_dir=tmp_path)

    assert (await find(hidden)).encoder.name == ("x264" if not await works(ffmpeg, NVENC, tmp_path) else "nvenc")


async def test_an_ffmpeg_that_does_not_run_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="does not run"):
        await find(FarmSettings(ffmpeg="/nowhere/ffmpeg", scratch_dir=tmp_path))
    with pytest.raises(Misconfigured, match="does not say"):
        await find(FarmSettings(ffmpeg="/bin/true", scratch_dir=tmp_path))


async def test_without_a_setting_an_ffmpeg_is_found(tmp_path: Path) -> None:
    found = await find(FarmSettings(scratch_dir=tmp_path, encoder="x264"))

    assert found.build
    assert Path(found.ffmpeg).exists()
