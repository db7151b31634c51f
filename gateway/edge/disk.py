"""The disk tier: immutable objects in a folder that survives restarts, under a byte budget.

fails="open": a disk that is full, read-only, slow or wrong is counted and told once; the edge serves from the bucket.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import math
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Literal, ParamSpec, TypeVar

import msgspec

from gateway.edge.folder import Folder, Note
from gateway.edge.objects import Filed, Object
from shared import log

#: What an entry costs besides its bytes: its note, and the blocks both leave half empty.
OVERHEAD_BYTES: Final = 8192
#: Bodies below this are read into RAM; bigger ones are sent from their file.
SMALL_BYTES: Final = 64 << 10
#: A file that was handed out is not unlinked for this long.
GRACE_S: Final = 30.0
#: A file used again within this time is worth RAM.
AGAIN_S: Final = 60.0
#: Bytes of bodies that wait to be written; more are not written at all.
WAITING_BYTES: Final = 64 << 20
READ_TIMEOUT_S, TEND_S, PAUSE_S, CLOSE_S = 2.0, 5.0, 30.0, 5.0

Work = Literal["open", "read", "write", "verify"]
P = ParamSpec("P")
T = TypeVar("T")


class _Entry(msgspec.Struct):
    note: Note
    is_verified: bool = False
    #: When somebody last got its path or read it, and when it last was served from its file.
    handed_out: float = -math.inf
    lent: float = -math.inf

    @property
    def cost(self) -> int:
        return self.note.size + OVERHEAD_BYTES


class Disk:
    """Bodies by key. What an entry holds is verified at its first use in a process's life."""

    def __init__(self, folder: Path, *, budget_bytes: int, tick: Callable[[], float]) -> None:
        self._folder, self._budget, self._tick = Folder(folder), budget_bytes, tick
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._buried: list[_Entry] = []
        self._writing: dict[str, asyncio.Task[None]] = {}
        self._readers = ThreadPoolExecutor(2, thread_name_prefix="disk-read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="disk-write")
        self._is_open, self._waiting = False, 0
        self._paused_until = self._slow_until = -math.inf
        self._told: set[tuple[Work, int | None]] = set()
        self._live = 0
        #: All bytes in the folder: of what may be found, of what waits for its grace, of what is being written.
        self.bytes_held = 0
        self.failures: collections.Counter[Work] = collections.Counter()

    async def open(self) -> None:
        """Lock the folder and learn what is in it; in vain while another process has it."""
        try:
            if not await self._on(self._writer, self._folder.open):
                return
            notes = await self._on(self._writer, self._folder.scan)
        except OSError as error:
            self._fault("open", error)
            return
        for note in notes:
            self._entries[note.key] = _Entry(note)
        self._live = self.bytes_held = sum(entry.cost for entry in self._entries.values())
        self._is_open = True
        await self._on(self._writer, self._folder.remove, self._make_room(0))

    async def tend(self) -> None:
        """Unlink what was evicted when its grace is over, and take the folder when another process left it."""
        while True:
            if not self._is_open:
                await self.open()
            await asyncio.sleep(TEND_S)
            await self.bury()

    async def bury(self) -> None:
        """Unlink what was evicted and has been handed out to nobody for the time of grace."""
        over = [entry for entry in self._buried if self._is_left(entry)]
        self._buried = [entry for entry in self._buried if entry not in over]
        await self._on(self._writer, self._folder.remove, [entry.note for entry in over])
        self.bytes_held -= sum(entry.cost for entry in over)

    def at_hand(self, key: str) -> tuple[Filed, bool] | None:
        """A file that is verified already, and whether it was handed out a moment ago, too."""
        entry = self._entries.get(key)
        if entry is None or not entry.is_verified or self._tick() < self._slow_until:
            return None
        if not self._folder.is_there(entry.note):
            self._drop(key, entry)
            return None
        return self._hand_out(key, entry)

    async def find(self, key: str) -> Object | Filed | None:
        """What the folder has: small things in RAM, big ones as a file; None where there is nothing right."""
        entry = self._entries.get(key)
        if entry is None or entry.note.size < SMALL_BYTES:
            return await self.read(key)
        entry.is_verified = await self._check(key, entry, self._folder.verify) or False
        return self._hand_out(key, entry)[0] if entry.is_verified else None

    async def read(self, key: str) -> Object | None:
        """A whole body, into RAM."""
        entry = self._entries.get(key)
        return None if entry is None else await self._check(key, entry, self._folder.read)

    def keep(self, key: str, found: Object) -> None:
        """Write an object in the background, unless there is no room or the disk is behind."""
        cost = found.size + OVERHEAD_BYTES
        is_idle = self._is_open and self._tick() >= self._paused_until and self._waiting + cost <= WAITING_BYTES
        if not is_idle or cost > self._budget or key in self._entries or key in self._writing:
            return
        self._waiting += cost
        task = asyncio.create_task(self._write(key, found))
        self._writing[key] = task
        task.add_done_callback(lambda _: self._writing.pop(key))

    async def written(self) -> None:
        """Wait until all that is to be written is."""
        while self._writing:
            await asyncio.wait(self._writing.values())

    async def close(self) -> None:
        """Finish what is being written, if that is soon, and let another process have the folder."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_S):
                await self.written()
        self._is_open = False
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._writer.shutdown(wait=False, cancel_futures=True)
        self._folder.close()

    async def _check(self, key: str, entry: _Entry, look: Callable[[Note], T | None]) -> T | None:
        """Look at a body in a thread. What is not right is dropped; a disk that is slow is left alone for a while."""
        if self._tick() < self._slow_until:
            return None
        entry.handed_out = self._tick()  # nobody unlinks it meanwhile
        self._entries.move_to_end(key)
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                right = await self._on(self._readers, look, entry.note)
        except TimeoutError as error:
            self._slow_until = self._tick() + PAUSE_S
            self._fault("read", error)
            return None
        if not right:
            self._drop(key, entry)
            self._fault("verify")
        return right or None

    def _hand_out(self, key: str, entry: _Entry) -> tuple[Filed, bool]:
        now = self._tick()
        is_again, entry.lent = now - entry.lent < AGAIN_S, now
        entry.handed_out = now
        self._entries.move_to_end(key)
        return Filed(entry.note.etag, entry.note.size, self._folder.path(entry.note)), is_again

    async def _write(self, key: str, found: Object) -> None:
        cost = found.size + OVERHEAD_BYTES
        try:
            gone = self._make_room(cost)
            if self.bytes_held + cost > self._budget:
                return  # what was evicted still has its grace
            self.bytes_held += cost
            try:
                await self._on(self._writer, self._folder.remove, gone)
                note = await self._on(self._writer, self._folder.write, key, found)
            except OSError as error:
                self.bytes_held -= cost
                self._paused_until = self._tick() + PAUSE_S
                self._fault("write", error)
                return
            self._live += cost
            self._entries[key] = _Entry(note)
        finally:
            self._waiting -= cost

    def _make_room(self, cost: int) -> list[Note]:
        """Evict until `cost` more would fit; what may be unlinked at once."""
        gone = []
        while self._entries and self._live + cost > self._budget:
            key, entry = next(iter(self._entries.items()))
            if (left := self._evict(key, entry)) is not None:
                gone.append(left)
        return gone

    def _evict(self, key: str, entry: _Entry) -> Note | None:
        """Let nobody find an entry any more; its note where nobody can still open it, else it waits for its grace."""
        del self._entries[key]
        self._live -= entry.cost
        if not self._is_left(entry):
            self._buried.append(entry)
            return None
        self.bytes_held -= entry.cost
        return entry.note

    def _drop(self, key: str, entry: _Entry) -> None:
        """An entry is wrong: nobody finds it any more, and bury() unlinks it."""
        if self._entries.get(key) is entry:
            del self._entries[key]
            self._live -= entry.cost
            self._buried.append(entry)

    def _is_left(self, entry: _Entry) -> bool:
        return self._tick() - entry.handed_out >= GRACE_S

    def _fault(self, work: Work, error: BaseException | None = None) -> None:
        """Count a failure, and tell each kind of it once."""
        self.failures[work] += 1
        kind = (work, error.errno if isinstance(error, OSError) else None)
        if kind not in self._told:
            self._told.add(kind)
            log.get("edge").warning("the disk tier failed; the bucket serves", work=work, words=str(error or ""))

    @staticmethod
    async def _on(threads: ThreadPoolExecutor, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(threads, lambda: call(*args, **kwargs))
