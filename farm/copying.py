"""When the master's own picture is good enough to be the top rendition as it is. Pure."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Final

from farm.media import MediaInfo, Picture
from farm.plan import VideoPlan
from shared.ladder import Rendition

#: What every player decodes.
PROFILES = frozenset({"Baseline", "Constrained Baseline", "Main", "High"})
MAX_LEVEL = 52
#: Any segment may be this much above the top rate.
PEAK = Fraction(3, 2)

_Condition = Callable[[MediaInfo, Picture, VideoPlan], bool]


def _top(video: VideoPlan) -> Rendition:
    return video.renditions[0]


#: Each condition, and what is said of a picture that does not meet it.
CONDITIONS: Final[tuple[tuple[str, _Condition], ...]] = (
    ("it is not in an MP4", lambda info, _, __: info.demuxer == "mov"),
    ("it is not H.264", lambda _, shown, video: shown.codec == "h264" == _top(video).codec),
    ("its profile is not one that every player has", lambda _, shown, __: shown.profile in PROFILES),
    ("its level is above 5.2", lambda _, shown, __: 0 < shown.level <= MAX_LEVEL),
    ("its pixels are not 8-bit 4:2:0", lambda _, shown, __: shown.pix_fmt == "yuv420p"),
    ("it is HDR", lambda _, shown, __: not shown.hdr),
    ("it is interlaced", lambda _, shown, __: not shown.interlaced),
    ("it is to be turned", lambda _, shown, __: shown.rotation == 0),
    ("its pixels are not square", lambda _, shown, __: shown.sar_num == shown.sar_den),
    (
        "its size is not that of the top rendition",
        lambda _, shown, video: (shown.width, shown.height) == (_top(video).width, _top(video).height),
    ),
    ("its pace changes", lambda _, shown, video: shown.constant and shown.rate == video.grid.rate),
    ("its pictures are not one step apart to the tick", lambda _, shown, __: shown.exact_times),
    ("it does not start at zero", lambda info, shown, _: round(shown.start_s * 1e6) == info.origin_us),
    ("it ends before the sound", lambda _, shown, video: shown.frames == video.frames),
    (
        "its segments would not all begin with a picture that stands alone",
        lambda _, shown, video: video.grid.segment_frames in shown.idr_steps,
    ),
    ("its rate is too high", lambda _, shown, video: 0 < shown.bps <= 1000 * _top(video).maxrate_kbps),
    (
        "its rate is too high in places",
        lambda _, shown, video: shown.peak_bps <= PEAK * 1000 * _top(video).maxrate_kbps,
    ),
    ("its decoder's configuration is unknown", lambda _, shown, __: len(shown.avcc) > 8),
)


def why_not(info: MediaInfo, picture: Picture, video: VideoPlan) -> str:
    """The first condition that the picture does not meet, in words; empty where it can be the top rendition."""
    return next((words for words, holds in CONDITIONS if not holds(info, picture, video)), "")


def top(info: MediaInfo, picture: Picture, video: VideoPlan) -> Rendition:
    """The top rendition: the master's own bytes where that is possible."""
    made = _top(video)
    if why_not(info, picture, video):
        return made
    return made.as_copied(level=picture.level, profile=picture.avcc[2:6])
