"""Routes of watch time: what one began, how long one watched, and how long a title was watched."""

from __future__ import annotations

from datetime import date

from gateway.control.limits import READ
from gateway.control.route import Call, Route
from gateway.control.watching import actions
from gateway.control.watching.model import TitleDays, WatchedDays, Watching

DAYS = {"from": "first day (UTC), 30 days before `to` if left out", "to": "last day (UTC), today if left out"}


async def list_watching(call: Call[None]) -> Watching:
    """What you began and did not finish, the last seen first."""
    async with call.wiring["begin"]() as unit:
        return await actions.unfinished(call.viewer, watching=unit.watching, titles=unit.catalogue)


async def list_watched(call: Call[None]) -> WatchedDays:
    """How long you watched what, by day; what is watched twice counts once."""
    async with call.wiring["begin"]() as unit:
        return await actions.my_days(
            call.viewer, _days(call), watching=unit.watching, titles=unit.catalogue, today=_today(call)
        )


async def read_title_watched(call: Call[None]) -> TitleDays:
    """How long a title was watched by all viewers together, by day; for those who sell it."""
    async with call.wiring["begin"]() as unit:
        return await actions.title_days(
            call.path("title"),
            _days(call),
            by=call.principal,
            watching=unit.watching,
            titles=unit.catalogue,
            today=_today(call),
        )


def _days(call: Call[None]) -> tuple[str, str]:
    return call.query("from"), call.query("to")


def _today(call: Call[None]) -> date:
    return call.wiring["clock"].now().date()


ROUTES: list[Route] = [
    Route("GET", "/v1/me/watching", list_watching, limit=READ, login=False, problems=(401,), tag="me"),
    Route("GET", "/v1/me/watched", list_watched, limit=READ, login=False, query=DAYS, problems=(401,), tag="me"),
    Route("GET", "/v1/titles/{title}/watched", read_title_watched, limit=READ, query=DAYS, problems=(403,)),
]
