"""Versions made without an encoder: a plan of several chunks, and chunks that are done with bytes of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import msgspec

from farm.grid import SOUND_FRAME, SOUND_RATE, sound_segments, video_segments
from farm.media import MediaInfo, Picture, Sound
from farm.package import Piece, segment_name
from farm.plan import ChunkPlan, Order, Plan, Recipe
from farm.planning import plan
from farm.playlists import Track
from farm.publish import Attempt, Marker, copy_winner, ready
from shared.jobs import POSTER_CHUNK, SOUND_CHUNK
from shared.storage import Bucket, names

MASTER = "masters/ttl_1/upl_1"


def planned(*, segments: int = 7, step: int = 2, picture: bool = True, **changes: object) -> Plan:
    """A title of 720p whose last segment is short, in chunks of `step` segments."""
    frames = (segments - 1) * 100 + 30
    seen = Picture(0, "h264", 1280, 720, 25, 1, True, frames, 0.0, frames / 25)
    heard = Sound(1, "aac", 48000, 2, 0.0, frames / 25)
    made = plan(MediaInfo("mov", 1000, 0, seen if picture else None, heard), Recipe("ttl_1", "ab" * 32, "x264", "5.1"))
    pieces = [
        ChunkPlan(str(number), first * 100, min(step * 100, frames - first * 100))
        for number, first in enumerate(range(0, segments, step))
    ]
    return msgspec.structs.replace(made, pieces=tuple(pieces) if picture else (), **changes)


async def order(bucket: Bucket, made: Plan) -> None:
    """The plan where workers read it."""
    await bucket.put(names.plan(made.version), msgspec.json.encode(Order(made, MASTER)))


async def done(bucket: Bucket, made: Plan, chunk: str, *, attempt: str = "a") -> Marker:
    """An attempt at a chunk that comes to its end, and what it brings to `v/`. Each attempt has bytes of its own."""
    writing = Attempt(bucket, made.version, chunk, attempt)
    tracks = [await _track(writing, name, pieces, scale) for name, pieces, scale in _renditions(made, chunk, attempt)]
    if chunk == POSTER_CHUNK:
        await writing.write("", [Piece("poster.jpg", b"\xff\xd8" + attempt.encode())], "image/jpeg")
    samples = made.piece(chunk).frames if chunk.isdigit() else 0
    won = await writing.win(tracks, samples)
    if await ready(bucket, made.title, made.version) is None:
        await copy_winner(bucket, won, title=made.title, version=made.version)
    return won


async def _track(writing: Attempt, name: str, pieces: list[Piece], timescale: int) -> Track:
    await writing.write(name, pieces)
    ticks = tuple(piece.ticks for piece in pieces[1:])
    sizes = tuple(len(piece.data) for piece in pieces[1:])
    return Track(name, "mp4a.40.2" if name.startswith("audio") else "avc1.64001f", timescale, ticks, sizes)


def _renditions(made: Plan, chunk: str, attempt: str) -> Iterator[tuple[str, list[Piece], int]]:
    def pieces(name: str, first: int, ticks: list[int]) -> list[Piece]:
        segments = [
            Piece(segment_name(first + number), _bytes(name, first + number, attempt), length)
            for number, length in enumerate(ticks)
        ]
        return [Piece("init.mp4", b"init of " + name.encode()), *segments]

    if chunk == SOUND_CHUNK:
        for sound in made.sounds:
            ticks = [frames * SOUND_FRAME for frames in sound_segments(sound.samples, sound.segment_s)]
            yield sound.name, pieces(sound.name, 0, ticks), SOUND_RATE
    elif chunk.isdigit():
        grid, piece = made.picture.grid, made.piece(chunk)
        ticks = [frames * grid.frame_ticks for frames in video_segments(piece.frames, grid.segment_frames)]
        for rendition in made.picture.renditions:
            first = piece.first_frame // grid.segment_frames
            yield rendition.name, pieces(rendition.name, first, ticks), grid.timescale


def _bytes(name: str, number: int, attempt: str) -> bytes:
    seed = hashlib.sha256(f"{name} {number} {attempt}".encode()).digest()
    return seed * (40 + seed[0])
