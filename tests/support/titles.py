"""Sellers, titles and jobs for tests of control, and the farm's side of a job spoken by hand."""

from __future__ import annotations

from typing import Any

import httpx2
import msgspec

from gateway.control.catalogue import actions as catalogue
from gateway.control.jobs import actions as jobs
from gateway.control.jobs.model import Job, NewJob
from gateway.control.outbox import OFFER
from shared import jobs as farm
from shared.ids import new_id
from shared.need import Offer
from tests.support.calls import call
from tests.support.control import Control, make_seller, register

#: What a plan of `planned_of` says before any of it is made.
PLAYABLE: dict[str, Any] = {
    "version": "v1",
    "edition": "e0",
    "ceilings": ("720", "360"),
    "duration_s": 10.0,
    "width": 1280,
    "height": 720,
}


class Desk:
    """A seller at work: its browser, and the titles it makes."""

    def __init__(self, control: Control, http: httpx2.AsyncClient, seller: dict[str, Any], me: dict[str, Any]) -> None:
        self.control, self.http, self.seller, self.me = control, http, seller, me

    async def ask(self, method: str, path: str, status: int = 200, body: Any = None) -> Any:
        """One call of /v1, with a key of its own for what writes value; asserts the status, gives the answer."""
        return await call(self.http, method, path, status, body=body)

    async def title(self, **about: Any) -> dict[str, Any]:
        """A draft."""
        made = await self.ask("POST", "titles", 201, {"seller": self.seller["id"], "name": "The Long Way", **about})
        return dict(made)

    async def queue(self, title: str, *, sha256: str = "0" * 64) -> Job:
        """A complete master of the title, as an upload leaves it behind."""
        upload = new_id("upl")
        async with self.control.wiring["begin"]() as unit:
            await unit.connection.execute(
                "insert into upload (id, title, principal, filename, size_bytes, state, expires_at) "
                "values ($1, $2, $3, 'm.mp4', 1, 'completed', now())",
                upload,
                title,
                self.me["id"],
            )
            new = NewJob(title=title, upload=upload, master=f"masters/{title}/{upload}", sha256=sha256)
            return await jobs.queue(
                new,
                jobs=unit.jobs,
                titles=unit.catalogue,
                outbox=unit.outbox,
                clock=self.control.clock,
            )

    async def ready(self, **about: Any) -> dict[str, Any]:
        """A title that the farm has made."""
        title = await self.title(**about)
        job = await self.queue(title["id"])
        await say(self.control, ready_of(job.id))
        return dict(await self.ask("GET", f"titles/{title['id']}"))

    async def making(self, **about: Any) -> tuple[dict[str, Any], Job]:
        """A title that can be watched while the farm makes it, and the job that does."""
        title = await self.title(**about)
        job = await self.queue(title["id"])
        await say(self.control, planned_of(job.id))
        async with self.control.wiring["begin"]() as unit:
            await catalogue.become_playable(title["id"], **PLAYABLE, titles=unit.catalogue)
        return dict(await self.ask("GET", f"titles/{title['id']}")), job

    async def published(self, **about: Any) -> dict[str, Any]:
        """A title on the shelf."""
        title = await self.ready(**about)
        return dict(await self.ask("POST", f"titles/{title['id']}/publish"))


async def desk(control: Control, handle: str = "studio") -> Desk:
    """A new account that became a seller."""
    http = control.browser(f"10.1.0.{sum(handle.encode()) % 250}")
    me = await register(http, handle)
    return Desk(control, http, await make_seller(http, handle), me)


async def say(control: Control, message: farm.Message, entry: str = "") -> None:
    """Take in a message of the farm."""
    async with control.wiring["begin"]() as unit:
        await jobs.apply(
            message, jobs=unit.jobs, titles=unit.catalogue, outbox=unit.outbox, clock=control.clock, entry=entry
        )


def planned_of(job: str, version: str = "v1", chunks: tuple[str, ...] = ("0", "sound", "poster")) -> farm.Planned:
    """A plan of three renditions."""
    renditions = (
        farm.RenditionPlan("720", 1280, 720),
        farm.RenditionPlan("360", 640, 360),
        farm.RenditionPlan("audio-0"),
    )
    return farm.Planned(
        job=job,
        version=version,
        duration_s=10.0,
        width=1280,
        height=720,
        frames=250,
        renditions=renditions,
        chunks=chunks,
    )


def ready_of(job: str, version: str = "v1", edition: str = "e1") -> farm.Ready:
    """A finished version."""
    return farm.Ready(
        job=job,
        version=version,
        edition=edition,
        ceilings=("720", "360"),
        duration_s=10.0,
        width=1280,
        height=720,
        has_poster=True,
    )


def tickets(rows: list[dict[str, Any]]) -> list[str]:
    """What outbox rows of topic task offer, piece by piece: `probe`, `chunk:0`, `finalise`."""
    offers = [msgspec.convert(row["data"], Offer) for row in rows if row["type"] == OFFER]
    return [_named(ticket) for offer in offers for ticket in offer.work.values()]


def _named(ticket: farm.Ticket) -> str:
    if isinstance(ticket, farm.ChunkTicket):
        return f"chunk:{ticket.chunk}"
    return "probe" if isinstance(ticket, farm.ProbeTicket) else "finalise"
