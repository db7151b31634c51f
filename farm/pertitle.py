"""Quality by the title: a few seconds tried at three CRFs, and the CRFs at which its renditions are equally good.

The ladder's CRFs suit pictures that are hard to encode; an easy one looks no better at them than at higher ones. Only
the highest rendition and the middle one are tried; the others follow. What trials find is never below the ladder's CRF:
a title takes no more bytes than it would without them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import msgspec

from farm import engine, run, scratch
from farm.command import Bench
from farm.command.trial import Trial, encode, judge, name
from farm.making import FILE_FLOOR_BYTES, FILE_SLACK, address_bytes
from farm.plan import Plan
from shared.errors import EncodeFailed
from shared.ladder import Rendition
from shared.log import get
from shared.settings import FarmSettings

#: The mean VMAF, at a rendition's own size, that is good enough: about what the ladder's CRF gives ordinary film.
TARGET: Final = 91.0
#: CRFs tried, above the ladder's own; none higher is taken.
STEPS: Final = (0, 5, 10)
#: Seconds tried at most, and as a share of the title, so that trials cost little beside the encode; under so many
#: seconds they say nothing.
TRIAL_S, SHARE, LEAST_S = 4.0, 0.02, 0.5
#: Places a trial is taken from.
PLACES: Final = 4
#: Seconds a trial may take.
_DEADLINE_S: Final = 600


class Trials(msgspec.Struct, frozen=True):
    """What trying needs: the machine's ffmpeg, its settings, and when to stop."""

    ffmpeg: str
    settings: FarmSettings
    stop: asyncio.Event


class _Score(msgspec.Struct):
    mean: float


class _Metrics(msgspec.Struct):
    vmaf: _Score


class _Log(msgspec.Struct):
    pooled_metrics: _Metrics


async def crfs(plan: Plan, master: Path, on: Trials) -> dict[str, int]:
    """The CRF of each rendition that is encoded; {} where the ladder's own stay.

    They stay for titles too short to try, and where nothing can judge or a trial fails. Raises Stopped, NoRoom, and
    EncodeFailed (`lost`) for what is no fault of the title.
    """
    trial, judging = trial_of(plan), engine.wheel()
    if trial is None or judging is None:
        return {}
    try:
        scores = await _tried(trial, master, on, judging=judging)
    except EncodeFailed as error:
        if error.details.get("lost"):
            raise
        get("farm").warning("trials failed", why=str(error), lines=error.details.get("lines"))
        return {}
    chosen = {qualities[0].name: highest(scores[qualities[0].name]) for qualities in trial.renditions}
    get("farm").info("trials", title=plan.title, vmaf=scores, chosen=chosen)
    return spread(_encoded(plan), chosen)


def trial_of(plan: Plan) -> Trial | None:
    """What would be tried of a plan; None where nothing is to be."""
    encoded, seconds = _encoded(plan), min(TRIAL_S, SHARE * plan.duration_s)
    if not encoded or seconds < LEAST_S:
        return None
    tried = dict.fromkeys((encoded[0], encoded[len(encoded) // 2]))
    places = _places(plan)
    return Trial(
        plan,
        tuple(tuple(msgspec.structs.replace(one, crf=one.crf + step) for step in STEPS) for one in tried),
        places,
        round(seconds / len(places), 3),
    )


def highest(scores: Mapping[int, float]) -> int:
    """The highest CRF whose VMAF is good enough, by a straight line between tried ones; the lowest where none is."""
    found = min(scores)
    for low, high in pairwise(sorted(scores)):
        if scores[low] < TARGET:
            break
        above, drop = scores[low] - TARGET, scores[low] - scores[high]
        found = high if scores[high] >= TARGET else low + int((high - low) * above / drop)
    return found


def spread(renditions: Sequence[Rendition], chosen: Mapping[str, int]) -> dict[str, int]:
    """The CRFs of all renditions: those between two tried ones lie between, those below the last are moved like it."""
    tried = [(index, chosen[one.name] - one.crf) for index, one in enumerate(renditions) if one.name in chosen]
    (first, above), (last, below) = tried[0], tried[-1]
    found = {}
    for index, one in enumerate(renditions):
        part = min(1.0, (index - first) / (last - first)) if last > first else 1.0
        found[one.name] = one.crf + int(above + (below - above) * part)
    return found


def _encoded(plan: Plan) -> tuple[Rendition, ...]:
    """H.264 that is not copied, highest first."""
    renditions = plan.video.renditions if plan.video else ()
    return tuple(one for one in renditions if one.codec == "h264" and not one.copied)


def _places(plan: Plan) -> tuple[float, ...]:
    """Seconds into the file, at key frames where the plan knows some, over the whole of the title."""
    starts = [piece.seek_us - plan.origin_us for piece in plan.pieces if piece.seek_us > plan.origin_us]
    if not starts:
        return (round(plan.duration_s / 3, 3),)
    count = min(PLACES, len(starts))
    return tuple(round(starts[(2 * number + 1) * len(starts) // (2 * count)] / 1e6, 3) for number in range(count))


async def _tried(trial: Trial, master: Path, on: Trials, *, judging: str) -> dict[str, dict[int, float]]:
    """The VMAF of each rendition by CRF."""
    size = int(sum(one.maxrate_kbps for qualities in trial.renditions for one in qualities) * 125 * TRIAL_S)
    limits = run.Limits(
        deadline_s=_DEADLINE_S,
        stall_s=on.settings.stall_s,
        memory_bytes=address_bytes(trial.plan),
        file_bytes=FILE_FLOOR_BYTES + FILE_SLACK * size,
    )
    with scratch.folder(on.settings, size) as folder:
        bench = Bench(on.ffmpeg, master, folder, on.settings.threads)
        await run.run(encode(trial, bench), folder, limits, stop=on.stop)
        await run.run(judge(trial, msgspec.structs.replace(bench, ffmpeg=judging)), folder, limits, stop=on.stop)
        return {
            qualities[0].name: {one.crf: _vmaf(folder / f"{name(one)}.json") for one in qualities}
            for qualities in trial.renditions
        }


def _vmaf(log: Path) -> float:
    try:
        return msgspec.json.decode(log.read_bytes(), type=_Log).pooled_metrics.vmaf.mean
    except (FileNotFoundError, msgspec.DecodeError) as error:
        raise EncodeFailed(f"nothing was judged: {error}") from error
