"""Masters as people have them: of changing pace, interlaced, turned, cut anywhere; each frame shows its number."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

import msgspec

from benchmarks.farm.numbered import source

#: What of a master's frames its title must show, in order: all; those of a whole in one chunk; every other.
Shown = Literal["all", "as-one", "even"]
_FAST = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "60", "-pix_fmt", "yuv420p")
_TONE = ("-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration={seconds}")
_AAC = ("-c:a", "aac", "-b:a", "64k")
_FIELDS = ("-c:v", "mpeg2video", "-q:v", "3", "-g", "12", "-flags", "+ildct+ilme")
_PQ = "format=yuv420p10le,setparams=color_trc=smpte2084:color_primaries=bt2020:colorspace=bt2020nc"
_X265 = ("-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error")
_BT2020 = ("-color_trc", "smpte2084", "-color_primaries", "bt2020", "-colorspace", "bt2020nc")


class Odd(msgspec.Struct, frozen=True, kw_only=True):
    """A master: its file's name, and how ffmpeg makes one of so many frames."""

    name: str
    rate: str = "25"
    size: str = "160x90"
    options: tuple[str, ...] = _FAST
    sound: tuple[str, ...] = _TONE
    shown: Shown = "all"

    def arguments(self, frames: int) -> list[str]:
        """ffmpeg's options, inputs first."""
        seconds = f"{float(frames / Fraction(self.rate)):.6f}"
        picture = ("-f", "lavfi", "-i", source(frames, self.rate, self.size))
        sound = (word.format(seconds=seconds) for word in self.sound)
        return [*picture, *sound, *self.options, *(_AAC if self.sound else ())]


ODDITIES = {
    "plain": Odd(name="plain.mp4"),
    "changing pace": Odd(
        name="vfr.mp4",
        rate="30",
        options=("-vf", "select='not(mod(floor(n/7),2))'", "-fps_mode", "vfr", *_FAST),
        shown="as-one",
    ),
    "23.976": Odd(name="film.mkv", rate="24000/1001"),
    "29.97 in a transport stream": Odd(name="ntsc.ts", rate="30000/1001"),
    "interlaced": Odd(
        name="fields.ts",
        rate="50",
        options=("-vf", "tinterlace=interleave_top,setfield=tff", *_FIELDS),
        shown="even",
    ),
    "10 s between key frames": Odd(name="sparse.mp4", options=(*_FAST, "-g", "250", "-sc_threshold", "0")),
    "open groups": Odd(name="open.mkv", options=(*_FAST, "-x264-params", "open-gop=1:keyint=40:scenecut=0:bframes=3")),
    "no sound": Odd(name="mute.mp4", sound=()),
    "late sound": Odd(name="late.mp4", sound=("-itsoffset", "1.5", *_TONE)),
    "5.1": Odd(
        name="surround.mp4", sound=("-f", "lavfi", "-i", "anoisesrc=amplitude=0.1:duration={seconds}", "-ac", "6")
    ),
    "upright": Odd(name="upright.mp4", size="320x180", options=("-vf", "transpose=cclock", *_FAST)),
    "HDR": Odd(name="hdr.mp4", options=("-vf", _PQ, *_X265, *_BT2020)),
    "to be copied": Odd(name="ready.mp4", options=(*_FAST, "-profile:v", "main", "-g", "50", "-sc_threshold", "0")),
}
#: Options before the name of a master that is shown a quarter turned to the left, and after it.
TURNED, AS_IT_IS = ("-display_rotation", "90"), ("-c", "copy")
