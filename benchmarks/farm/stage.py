"""What the cases of the farm's bench share: a folder, both builds of ffmpeg, films, rounds, and how a row is made."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.farm import cpu
from benchmarks.farm.cpu import Outcome, Side
from benchmarks.farm.films import Film, Films

#: How often each side has its turn.
ROUNDS = 5


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the bench.

    `ffmpegs`: name → program, "wheel" (imageio-ffmpeg's, always there) and "system" where one is installed. `ffmpeg`:
    the one both sides use. `quick`: everything once and short, to see that it works.
    """

    folder: Path
    ffmpegs: Mapping[str, str]
    films: Films
    rounds: int = ROUNDS
    quick: bool = False
    said: list[str] = []

    @property
    def ffmpeg(self) -> str:
        """The ffmpeg of both sides: the wheel's, so that every machine measures the same one."""
        return self.ffmpegs["wheel"]

    def own(self, name: str) -> Path:
        """An empty folder for a case."""
        return cpu.emptied(self.folder / name)

    def seconds(self, whole: float, *, quick: float) -> float:
        """A length of media: `whole`, or `quick` in a quick run."""
        return quick if self.quick else whole

    async def film(self, film: Film) -> Path:
        """A master of this kind."""
        return await self.films.film(film)

    async def interleaved(self, case: str, sides: Mapping[str, Side]) -> dict[str, Outcome]:
        """Each side's costs in rounds taken in turn; each works in an empty folder, the last of which is kept."""
        return await cpu.interleaved(sides, self.own(case), rounds=self.rounds)

    def say(self, words: str) -> None:
        """Tell what is going on."""
        print(words, file=sys.stderr, flush=True)

    def theirs(self, case: str, *commands: Sequence[str]) -> None:
        """Print the other side's exact commands, and keep them for the page."""
        lines = "\n".join(shlex.join(self._told(word) for word in command) for command in commands)
        self.said.append(f"{case}:\n\n```sh\n{lines}\n```")
        print(f"# {case}, the other side:\n{lines}\n", flush=True)

    def _told(self, word: str) -> str:
        """Without the paths of this machine."""
        for name, program in self.ffmpegs.items():
            if word == program:
                return "ffmpeg" if name == "wheel" else f"ffmpeg-{name}"
        return word.replace(f"{self.films.folder}/", "").replace(f"{self.folder}/", "")
