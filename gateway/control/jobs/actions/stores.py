"""What is given to those who make jobs, move them on, or look for what got lost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import msgspec

from gateway.control.catalogue.model import Titles
from gateway.control.db import Begin
from gateway.control.jobs.model import Jobs, Leases
from gateway.control.outbox import Outbox
from shared.clock import Clock
from shared.need import WorkerState
from shared.storage import Bucket


class Stores(Protocol):
    """One transaction: rows of jobs and of the titles they are for, and the outbox. Other features add theirs."""

    @property
    def catalogue(self) -> Titles: ...
    @property
    def jobs(self) -> Jobs: ...
    @property
    def outbox(self) -> Outbox: ...


class Reaper(msgspec.Struct, frozen=True, kw_only=True):
    """What a look for lost work needs: the farm's `workers` now, None where nobody can say, and how long a job
    waits for one that fits it."""

    begin: Begin[Stores]
    leases: Leases
    bucket: Bucket
    clock: Clock
    workers: Sequence[WorkerState] | None = None
    patience_s: float = math.inf
