"""Sound on its way to viewers while the rest of it is encoded.

All the sound of a title is one piece of work, and a long one; who watches meanwhile should not wait for its end. What
is encoded so far is read again each time it has doubled, so that all the reading costs no more than the file twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Final

from farm import package
from farm.plan import Plan, SoundPlan
from farm.publish import Attempt
from shared.errors import EncodeFailed, StoreUnavailable

#: Seconds between two looks, and seconds of sound that are worth the first.
LOOK_S: Final = 0.5
FIRST_S: Final = 8.0


class Ahead:
    """Publishes the whole segments of each sound in `folder`; `encoded_s` is how far the encoder says it is."""

    def __init__(self, plan: Plan, folder: Path, attempt: Attempt) -> None:
        self._plan, self._folder, self._attempt = plan, folder, attempt
        self.encoded_s = self._looked_s = 0.0
        self._published = dict.fromkeys((sound.name for sound in plan.sounds), 0)

    async def run(self) -> None:
        """Publish until cancelled."""
        while True:
            await asyncio.sleep(LOOK_S)
            if self.encoded_s >= max(FIRST_S, 2 * self._looked_s):
                looked_s, self._looked_s = self._looked_s, self.encoded_s
                try:
                    for sound in self._plan.sounds:
                        await self.publish(sound)
                except StoreUnavailable:  # the next look tries again
                    self._looked_s = looked_s

    async def publish(self, sound: SoundPlan) -> int:
        """Publish what is there of one sound and was not yet; how many objects are, the init among them."""
        pieces = package.sound(self._folder / f"{sound.name}.mp4", sound.samples, sound.segment_s)
        with contextlib.suppress(EncodeFailed, FileNotFoundError):  # the file ends where the encoder is
            for number, piece in enumerate(pieces):
                if number < self._published[sound.name]:
                    await asyncio.sleep(0)  # a long title has hours of them to pass over
                else:
                    await self._attempt.adopt(self._plan.title, f"{sound.name}/{piece.name}", piece.data)
                    self._published[sound.name] = number + 1
        return self._published[sound.name]
