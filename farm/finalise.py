"""The last step of a version: check it against its plan, write playlists and ready.json. May be repeated freely."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from fractions import Fraction

import msgspec

from farm import playlists, publish
from farm.plan import Plan
from farm.playlists import Presentation, Track
from farm.publish import JSON_TYPE, PLAYLIST_TYPE, Marker
from shared.errors import EncodeFailed
from shared.jobs import SOUND_CHUNK, Finished
from shared.storage import Bucket, names


async def finalise(bucket: Bucket, title: str, version: str) -> Finished:
    """Make the version ready and give what ready.json says: the same bytes however often.

    Raises NotFound for a version without a plan, EncodeFailed where a marker is missing or the parts do not fit.
    """
    plan = (await publish.order(bucket, version)).plan
    if (done := await publish.ready(bucket, title, version)) is not None:
        return done
    markers = {chunk: await publish.marker(bucket, version, chunk) for chunk in plan.chunks}
    if missing := [chunk for chunk, marker in markers.items() if marker is None]:
        raise EncodeFailed(f"chunks without a marker: {', '.join(missing)}", code="chunks-missing")
    found = {chunk: marker for chunk, marker in markers.items() if marker is not None}
    for marker in found.values():
        await publish.copy_winner(bucket, marker, title=title, version=version)
    return await _write(bucket, plan, _presentation(version, plan, found))


async def _write(bucket: Bucket, plan: Plan, shown: Presentation) -> Finished:
    title, version = plan.title, shown.version
    indexes = {track.name: playlists.media(track) for track in (*shown.pictures, shown.sound)}
    tops = playlists.ceilings(shown)
    edition = _edition((indexes, tops))
    for name, text in indexes.items():
        await bucket.put(names.media_playlist(title, version, name), text.encode(), content_type=PLAYLIST_TYPE)
    for ceiling, text in tops.items():
        await bucket.put(names.multivariant(title, edition, ceiling), text.encode(), content_type=PLAYLIST_TYPE)
    top = shown.pictures[0] if shown.pictures else shown.sound
    ready = Finished(version, edition, tuple(tops), plan.duration_s, top.width, top.height, True)
    await bucket.put_if_absent(names.ready(title, version), msgspec.json.encode(ready), content_type=JSON_TYPE)
    return ready


def _presentation(version: str, plan: Plan, markers: dict[str, Marker]) -> Presentation:
    rate = plan.video.grid.rate if plan.video else Fraction(0)
    return Presentation(version, tuple(_pictures(plan, markers)), markers[SOUND_CHUNK].tracks[0], rate)


def _edition(texts: tuple[dict[str, str], dict[str, str]]) -> str:
    return hashlib.sha256(msgspec.json.encode(texts, order="deterministic")).hexdigest()[:32]


def _pictures(plan: Plan, markers: dict[str, Marker]) -> list[Track]:
    """The whole tracks of the picture, highest first, joined over its chunks. Raises EncodeFailed."""
    if plan.video is None:
        return []
    pieces = [markers[piece.name] for piece in plan.pieces]
    if (made := sum(marker.samples for marker in pieces)) != plan.video.frames:
        raise EncodeFailed(f"{made} frames were made of {plan.video.frames}", code="frames-differ")
    return [_joined(rendition.name, pieces) for rendition in plan.video.renditions]


def _joined(name: str, pieces: Sequence[Marker]) -> Track:
    inits = {marker.sha256(f"{name}/init.mp4") for marker in pieces}
    parts = [next(track for track in marker.tracks if track.name == name) for marker in pieces]
    if len(inits) != 1 or len({(part.codec, part.timescale) for part in parts}) != 1:
        raise EncodeFailed(f"chunks of {name} were made in {len(inits)} different ways", code="inits-differ")
    return msgspec.structs.replace(
        parts[0],
        ticks=tuple(ticks for part in parts for ticks in part.ticks),
        sizes=tuple(size for part in parts for size in part.sizes),
    )
