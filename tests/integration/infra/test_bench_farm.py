"""What the farm's bench stands on: costs, films, VMAF, cases that break, and its part of the page."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks.farm import bench, cpu, films, stage, vmaf
from benchmarks.farm.bench import Options
from benchmarks.farm.films import Film, Films
from benchmarks.report import Row
from infra.cli import main
from tests.support.media import WHEEL

TINY = {"size": "160x90", "seconds": 1.0, "preset": "ultrafast"}
BURN = "import time\nuntil = time.process_time() + {}\nwhile time.process_time() < until: pass"
HELD = Row(case="one", ours=1.0, theirs=2.0, unit="CPU s", value=0.5, bar=0.7, better="lower")


async def burn(seconds: float) -> None:
    await cpu.run([sys.executable, "-c", BURN.format(seconds)], Path("/"))


async def test_cost_is_the_cpu_of_children_and_of_this_process() -> None:
    child = await cpu.cost(burn(0.3))
    assert 0.3 <= child.cpu_s < 0.3 + child.wall_s
    asleep = await cpu.cost(asyncio.sleep(0.3))
    assert asleep.cpu_s < 0.15 and asleep.wall_s >= 0.3


async def test_sides_take_turns_in_folders_of_their_own(tmp_path: Path) -> None:
    turns: list[str] = []

    def side(name: str) -> cpu.Side:
        async def work(folder: Path) -> None:
            assert list(folder.iterdir()) == []
            (folder / "made").write_text(name)
            turns.append(name)

        return work

    done = await cpu.interleaved({"a": side("a"), "b": side("b")}, tmp_path, rounds=3)
    assert turns == ["a", "b", "b", "a", "a", "b"]
    assert {name: (found.folder / "made").read_text() for name, found in done.items()} == {"a": "a", "b": "b"}
    assert [len(found.costs) for found in done.values()] == [3, 3]


def test_ratio_is_the_median_of_the_rounds_ratios(tmp_path: Path) -> None:
    ours = cpu.Outcome([cpu.Cost(value, 1) for value in (1.0, 2.0, 9.0)], tmp_path)
    theirs = cpu.Outcome([cpu.Cost(value, 1) for value in (2.0, 4.0, 3.0)], tmp_path)
    assert (cpu.ratio(ours, theirs), ours.cpu_s, theirs.cpu_s) == (0.5, 2.0, 3.0)


async def test_program_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(cpu.Failed, match="ended with 3: no luck"):
        await cpu.run([sys.executable, "-c", "import sys; print('no luck', file=sys.stderr); sys.exit(3)"], tmp_path)


@pytest.mark.parametrize("picture", films.PICTURES)
async def test_film_is_made_once_and_judged_like_itself(tmp_path: Path, picture: str) -> None:
    made = await Films(tmp_path, WHEEL).film(Film(picture=picture, **TINY))  # type: ignore[arg-type]
    before = made.stat().st_mtime_ns
    again = await Films(tmp_path, WHEEL).film(Film(picture=picture, **TINY))  # type: ignore[arg-type]
    assert (again, again.stat().st_mtime_ns) == (made, before)
    assert await vmaf.score(made, made, size="160x90", every=1) > 95
    assert list(tmp_path.glob("*.json")) == []


async def test_vmaf_tells_a_bad_copy_and_a_shift_of_one_frame(tmp_path: Path) -> None:
    made = Films(tmp_path, WHEEL)
    whole = await made.film(Film(picture="card", **TINY))  # type: ignore[arg-type]
    bad = await made.made("bad.mp4", "-i", str(whole), "-c:v", "libx264", "-preset", "ultrafast", "-crf", "45")
    late = await made.made("late.mp4", "-i", str(whole), "-vf", "trim=start_frame=5,setpts=PTS-STARTPTS", "-crf", "10")
    assert await vmaf.score(bad, whole, size="160x90", every=1) < 70
    paired = await vmaf.score(late, whole, size="160x90", every=1, skip=5)
    assert paired > 90 > await vmaf.score(late, whole, size="160x90", every=1)


async def test_film_is_cut_from_the_clip_that_is_given(tmp_path: Path) -> None:
    clip = await Films(tmp_path, WHEEL).made(
        "clip.mp4", "-f", "lavfi", "-i", "color=white:s=64x36:r=10:d=0.4", "-preset", "ultrafast"
    )
    given = Films(tmp_path / "films", WHEEL, clip)
    longer = await given.film(Film(**TINY))  # type: ignore[arg-type]
    white = await given.made("white.mp4", "-f", "lavfi", "-i", "color=white:s=160x90:r=25:d=1")
    assert await vmaf.score(longer, white, size="160x90", every=1) > 95
    assert given.words == "cut from clip.mp4"


async def test_case_that_breaks_is_void_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async def broken(_: stage.Stage) -> list[Row]:
        raise cpu.Failed("ffmpeg ended with 1")

    async def held(on: stage.Stage) -> list[Row]:
        on.theirs("one", [on.ffmpeg, "-i", str(on.films.folder / "a.mp4")])
        return [HELD]

    monkeypatch.setattr(bench, "CASES", {"broken": broken, "held": held})
    page = tmp_path / "page.md"
    done = await bench.run(Options(only=("broken", "held"), quick=True, page=page), os.environ)
    assert [(row.case, row.word) for row in done.rows] == [("broken: broke", "void"), ("one", "held")]
    assert done.failed and "ffmpeg ended with 1" in capfd.readouterr().err
    text = page.read_text()
    assert "ffmpeg -i a.mp4" in text and "| one " in text and str(tmp_path) not in text

    await bench.run(Options(only=("held",), quick=True, page=page), os.environ)
    text = page.read_text()
    assert "broken: broke" in text and "## The farm beside plain ffmpeg: held once more" in text


@pytest.mark.parametrize("name", bench.CASES)
def test_case_has_its_rows(name: str) -> None:
    assert inspect.iscoroutinefunction(importlib.import_module(f"benchmarks.farm.{name}").rows)


def test_bench_of_the_farm_refuses_what_it_does_not_know(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "farm", "--only", "speed"]) == 2
    assert "There is no case speed" in capsys.readouterr().err
    assert main(["farm", "bench", "--clip", str(tmp_path / "none.mp4")]) == 2
    assert "there is no such file" in capsys.readouterr().err


@pytest.mark.parametrize(("value", "quick", "status"), [(0.5, False, 0), (0.9, False, 1), (0.9, True, 0)])
def test_bench_of_the_farm_ends_with_its_object_and_fails_below_a_bar(
    value: float, quick: bool, status: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    async def case(on: stage.Stage) -> list[Row]:
        assert on.rounds == (1 if quick else 2)
        return [msgspec.structs.replace(HELD, value=value)]

    monkeypatch.setattr(bench, "CASES", {"one": case})
    options = ["--no-page", "--rounds", "2", *(["--quick"] if quick else [])]
    assert main(["bench", "farm", *options]) == status
    done = msgspec.json.decode(capfd.readouterr().out.splitlines()[-1])
    assert (done["bench"], done["rows"][0]["value"]) == ("bench-farm", value)


def test_command_on_the_page_runs_the_same_again(tmp_path: Path) -> None:
    assert bench.command(Options()) == "usher bench farm"
    some = Options(only=tuple(bench.CASES)[:1], rounds=3, clip=tmp_path / "a.mp4")
    assert bench.command(some).startswith("usher bench farm --rounds 3 --only ")
    assert bench.command(msgspec.structs.replace(some, quick=True)).split()[3] == "--quick"
