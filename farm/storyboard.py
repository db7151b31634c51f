"""Making the storyboard of a title: sheets of small pictures, and the index that says which belongs to which time."""

from __future__ import annotations

from farm import command, run
from farm.making import Making, ffmpeg
from farm.package import Piece
from farm.plan import StoryboardPlan
from farm.publish import JPEG_TYPE, VTT_TYPE, Attempt, Marker
from shared.errors import EncodeFailed
from shared.storage import names
from shared.subtitles import timestamp

#: Of the keyframes that the master is known to have, so many are decoded at least.
LEAST_PART = 0.5


async def make(making: Making, bench: command.Bench, attempt: Attempt) -> Marker:
    """From pictures that stand alone, which are decoded quickly; from many more where those were hardly any.

    Some are marked as keyframes that a decoder starts at and yet gives nothing for without those around them.
    """
    plan = making.plan
    sheets, decoded = await _sheets(making, bench, few=True)
    if not sheets or decoded < LEAST_PART * plan.board.keyframes:
        sheets, _ = await _sheets(making, bench, few=False)
    if not sheets:
        raise EncodeFailed("no storyboard could be taken from it")
    await attempt.write(names.SPRITES, sheets, JPEG_TYPE)
    text = index(plan.board, plan.duration_s)
    await attempt.write(names.SPRITES, [Piece("index.vtt", text.encode())], VTT_TYPE)
    return await attempt.win()


def index(board: StoryboardPlan, duration_s: float) -> str:
    """Which part of which sheet shows which time (WebVTT, each cue a picture by its Media Fragment `xywh`)."""
    lines = ["WEBVTT", ""]
    for number in range(board.count(duration_s)):
        sheet, cell = divmod(number, board.columns * board.rows)
        row, column = divmod(cell, board.columns)
        start, end = number * board.every_s, min((number + 1) * board.every_s, duration_s)
        where = f"{column * board.width},{row * board.height},{board.width},{board.height}"
        lines += [f"{timestamp(round(start * 1000))} --> {timestamp(round(end * 1000))}"]
        lines += [f"{sheet}.jpg#xywh={where}", ""]
    return "\n".join(lines)


async def _sheets(making: Making, bench: command.Bench, *, few: bool) -> tuple[list[Piece], int]:
    """All sheets, none where ffmpeg does not give every one; and how many pictures they are of."""
    board, seconds = making.plan.board, making.plan.duration_s
    decoded = 0

    def tell(found: run.Progress) -> None:
        nonlocal decoded
        decoded = found.frame

    try:
        await ffmpeg(making, command.storyboard(making.plan, bench, few=few), bench.folder, tell=tell)
    except EncodeFailed as error:
        if error.details.get("lost"):
            raise
    paths = [bench.folder / f"{number}.jpg" for number in range(board.sheets(seconds))]
    if not all(path.exists() and path.stat().st_size for path in paths):
        return [], decoded
    return [Piece(path.name, path.read_bytes()) for path in paths], decoded
