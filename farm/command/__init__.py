"""Plan → ffmpeg's argument list, compiled by ffmpeg-python to the option set of ffmpeg 5.1. Pure."""

from __future__ import annotations

from farm.command.base import Bench
from farm.command.picture import video
from farm.command.proof import proof, sessions
from farm.command.sound import measure, sound
from farm.command.still import poster, storyboard
from farm.encoders.base import Encoder

__all__ = ["Bench", "Encoder", "measure", "poster", "proof", "sessions", "sound", "storyboard", "video"]
