"""Names in the bucket: the one place that knows where a thing lies."""

from __future__ import annotations

#: The folder of a version that holds its storyboard.
SPRITES = "sprites"


def master(title: str, upload: str) -> str:
    """The master as uploaded; never changes."""
    return f"masters/{title}/{upload}"


def plan(version: str) -> str:
    """The plan of a version as JSON, written once by the probe."""
    return f"work/{version}/plan.json"


def trials(version: str) -> str:
    """What trials of a plan found, as JSON; `version` is the plan's without them."""
    return f"work/{version}/trials.json"


def attempt(version: str, chunk: str, attempt_id: str) -> str:
    """Prefix (no trailing slash) under which one attempt at one chunk writes; the edge never reads it."""
    return f"work/{version}/{chunk}/{attempt_id}"


def done(version: str, chunk: str) -> str:
    """The marker that makes one attempt the result of a chunk; created on condition that none exists."""
    return f"work/{version}/{chunk}/done.json"


def ready_message(version: str, job: str) -> str:
    """The farm's Ready message to a job as JSON, so that it can be read where the message itself was lost.

    Several jobs may end with one version, each with an edition of its own.
    """
    return f"work/{version}/ready-{job}.json"


def outline(title: str, version: str) -> str:
    """What an edge knows of a version in the making (`shared.jobs.Outline`), written once by the probe."""
    return f"v/{title}/{version}/grid.json"


def version_prefix(title: str, version: str) -> str:
    """Prefix of all published bytes of a version, with the trailing slash."""
    return f"v/{title}/{version}/"


def init(title: str, version: str, rendition: str) -> str:
    """The fMP4 initialisation section of a rendition."""
    return f"v/{title}/{version}/{rendition}/init.mp4"


def segment(title: str, version: str, rendition: str, *, number: int, variant: str = "0") -> str:
    """One media segment; numbers start at 0, the variant is `0` until forensic marks come."""
    return f"v/{title}/{version}/{rendition}/{variant}/{number}.m4s"


def media_playlist(title: str, version: str, rendition: str) -> str:
    """The media playlist of a rendition."""
    return f"v/{title}/{version}/{rendition}/index.m3u8"


def ready(title: str, version: str) -> str:
    """Exists only when all of the version is there."""
    return f"v/{title}/{version}/ready.json"


def poster(title: str, version: str, number: int = 0) -> str:
    """The still shown before play (JPEG), and the others that may take its place."""
    return f"v/{title}/{version}/{poster_file(number)}"


def poster_file(number: int) -> str:
    """A still's name in its version."""
    return f"poster{f'-{number}' if number else ''}.jpg"


def sprite(title: str, version: str, number: int) -> str:
    """A sheet of small pictures along the seek bar (JPEG)."""
    return f"v/{title}/{version}/{SPRITES}/{number}.jpg"


def sprites_index(title: str, version: str) -> str:
    """Which small picture belongs to which time (WebVTT)."""
    return f"v/{title}/{version}/{SPRITES}/index.vtt"


def subtitle_source(title: str, subtitle: str) -> str:
    """Subtitles as uploaded; never changes."""
    return f"masters/{title}/{subtitle}"


def subtitle_rendition(language: str, subtitle: str) -> str:
    """The folder of segmented subtitles in a version."""
    return f"subs-{language}-{subtitle[-8:]}"


def multivariant(title: str, edition: str, ceiling: str) -> str:
    """The multivariant playlist that lists no rendition above `ceiling` (a height, or `audio`)."""
    return f"v/{title}/e/{edition}/{ceiling}.m3u8"
