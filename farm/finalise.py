"""The last step of a version: check it against its plan, write its edition and ready.json. May be repeated freely.

On a version that is ready it writes one more edition, with the subtitles that there are now.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from farm import editions, playlists, publish, subtitles
from farm.editions import Edition, Rate
from farm.package import Piece
from farm.plan import Plan
from farm.playlists import Track
from farm.publish import JSON_TYPE, VTT_TYPE, Marker
from shared.errors import EncodeFailed
from shared.jobs import POSTER_CHUNK, SOUND_CHUNK, STORYBOARD_CHUNK, Finished, Subtitle
from shared.storage import Bucket, names


async def finalise(bucket: Bucket, title: str, version: str, *, words: Sequence[Subtitle] = ()) -> Finished:
    """Make the version ready and give what ready.json says, with the edition that lists the subtitles `words`.

    The same bytes however often. Raises NotFound for a version without a plan, EncodeFailed where a marker is missing
    or the parts do not fit.
    """
    plan = (await publish.order(bucket, version)).plan
    done = await publish.ready(bucket, title, version)
    markers = await _markers(bucket, plan)
    if done is None:
        for marker in markers.values():
            await publish.copy_winner(bucket, marker, title=title, version=version)
    made = _edition(plan, markers, words)
    made.indexes.update([await _write_words(bucket, plan, one) for one in words])
    await publish.put_edition(bucket, made, title=title, version=version)
    if done is None:
        done = _finished(plan, markers, made)
        await bucket.put_if_absent(names.ready(title, version), msgspec.json.encode(done), content_type=JSON_TYPE)
    return msgspec.structs.replace(done, edition=made.name)


async def _markers(bucket: Bucket, plan: Plan) -> dict[str, Marker]:
    markers = {chunk: await publish.marker(bucket, plan.version, chunk) for chunk in plan.chunks}
    if missing := [chunk for chunk, marker in markers.items() if marker is None]:
        raise EncodeFailed(f"chunks without a marker: {', '.join(missing)}", code="chunks-missing")
    return {chunk: marker for chunk, marker in markers.items() if marker is not None}


def _edition(plan: Plan, markers: dict[str, Marker], words: Sequence[Subtitle]) -> Edition:
    """What came out, by the rates that were measured. Raises EncodeFailed."""
    tracks = [*_pictures(plan, markers), *_sounds(plan, markers)]
    rates = {track.name: Rate(track.codec, track.peak_bps, track.average_bps) for track in tracks}
    indexes = {track.name: playlists.media(track.ticks, track.timescale) for track in tracks}
    return Edition(indexes, editions.ceilings(plan, rates, words))


def _finished(plan: Plan, markers: dict[str, Marker], made: Edition) -> Finished:
    top = plan.video.renditions[0] if plan.video else None
    stills = [one.name for one in markers[POSTER_CHUNK].objects if one.name.startswith("poster")]
    return Finished(
        plan.version,
        made.name,
        tuple(made.tops),
        plan.duration_s,
        top.width if top else 0,
        top.height if top else 0,
        has_poster=bool(stills),
        has_storyboard=STORYBOARD_CHUNK in markers and bool(markers[STORYBOARD_CHUNK].objects),
        languages=tuple(dict.fromkeys(sound.language for sound in plan.sounds if sound.language != "und")),
        loudness_lufs=markers[SOUND_CHUNK].loudness_lufs,
        posters=len(stills),
    )


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


def _sounds(plan: Plan, markers: dict[str, Marker]) -> list[Track]:
    """The tracks of all sounds, in the plan's order. Raises EncodeFailed."""
    made = {track.name: track for track in markers[SOUND_CHUNK].tracks}
    if missing := [sound.name for sound in plan.sounds if sound.name not in made]:
        raise EncodeFailed(f"sounds that were not made: {', '.join(missing)}", code="sounds-missing")
    return [made[sound.name] for sound in plan.sounds]


async def _write_words(bucket: Bucket, plan: Plan, words: Subtitle) -> tuple[str, str]:
    """Write the pieces of subtitles into the version; their rendition, and its playlist."""
    source = await bucket.get(words.key)
    if hashlib.sha256(source).hexdigest() != words.sha256:
        raise EncodeFailed(f"the subtitles {words.id} are not those that were sent", code="subtitles-differ")
    rendition = names.subtitle_rendition(words.language, words.id)
    texts = subtitles.segments(source, duration_s=plan.duration_s)
    pieces = [Piece(f"{number}.vtt", text) for number, text in enumerate(texts)]

    async def put(piece: Piece) -> None:
        key = f"{names.version_prefix(plan.title, plan.version)}{rendition}/{piece.name}"
        await publish.put_same(bucket, key, piece.data, content_type=VTT_TYPE)

    await publish.each(pieces, put)
    return rendition, subtitles.playlist([piece.name for piece in pieces], plan.duration_s)
