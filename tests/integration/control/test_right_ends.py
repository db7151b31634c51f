"""Rights whose time is over while they are used: what plays by them ends, with its reason, and is told once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import jwt
import pytest

from gateway.control.screenings import actions as screenings
from gateway.control.worker import money
from tests.integration.control.test_rights import Viewer, pushes
from tests.support.control import Control, code_of, log_in
from tests.support.market import sell
from tests.support.titles import Desk

HOUR, DAY = 3600, 86400


@pytest.fixture
async def title(seller: Desk) -> dict[str, Any]:
    """A title that is rented."""
    return await seller.published(price_minor=999)


@pytest.fixture
async def viewer(control: Control) -> Viewer:
    """Somebody logged in."""
    return await Viewer.join(control)


async def link(viewer: Viewer, title: dict[str, Any]) -> dict[str, Any]:
    """What the token of a new link says."""
    answer = await viewer.play(title)
    assert answer.status_code == 200, answer.text
    token = answer.json()["url"].split("/t/")[1].split("/")[0]
    return dict(jwt.decode(token, options={"verify_signature": False}))


async def ended(control: Control) -> list[dict[str, Any]]:
    return [row["data"] for row in await control.events("entitlement.ended")]


async def test_link_that_outlives_its_rental_ends_with_it(
    control: Control, title: dict[str, Any], viewer: Viewer
) -> None:
    await sell(control, viewer.id, title["id"], "rent", hours=1)
    began = control.clock.now()
    first = await link(viewer, title)
    control.clock.advance(250)
    second = await link(viewer, title)
    # The edge told late: the rental runs from before the second link was given, which thought it ran from then on.
    await viewer.first_media(title, began + timedelta(seconds=10))
    over = (began + timedelta(seconds=10 + HOUR)).timestamp()
    assert first["hmx"] < over < second["hmx"]
    control.clock.advance(10 + HOUR - 251)
    await money.end_rights(control.wiring)
    assert (await pushes(control), await ended(control)) == ([], [])
    control.clock.advance(1)
    await asyncio.gather(*(money.end_rights(control.wiring) for _ in range(3)))
    await money.end_rights(control.wiring)
    assert await pushes(control) == [("sid", second["sid"], "right-ended")]
    [push] = await control.rows("select data from outbox where topic = 'push'")
    assert push["data"]["iat"] >= second["hmx"]
    assert await ended(control) == [{"principal": viewer.id, "scope": title["id"]}]
    [told] = await control.events("playback.ended")
    assert (told["data"]["sid"], told["data"]["reason"]) == (second["sid"], "right-ended")
    assert code_of(await viewer.play(title)) == (403, "entitlement-right-ended")


async def test_rental_linked_on_its_last_day_is_over_when_that_link_is(
    control: Control, title: dict[str, Any], viewer: Viewer
) -> None:
    await sell(control, viewer.id, title["id"], "rent", hours=24)
    control.clock.advance(30 * DAY - 60)
    await log_in(viewer.http, "vera")
    await link(viewer, title)
    control.clock.advance(120)
    await money.end_rights(control.wiring)
    assert await ended(control) == []
    control.clock.advance(DAY + HOUR)
    await money.end_rights(control.wiring)
    assert await ended(control) == [{"principal": viewer.id, "scope": title["id"]}]


async def test_what_another_right_carries_plays_on(control: Control, title: dict[str, Any], viewer: Viewer) -> None:
    await sell(control, viewer.id, title["id"], "rent", hours=1)
    began = control.clock.now()
    await link(viewer, title)
    control.clock.advance(250)
    await link(viewer, title)
    await viewer.first_media(title, began)
    await sell(control, viewer.id, title["id"])
    control.clock.advance(HOUR - 200)
    await money.end_rights(control.wiring)
    assert (await pushes(control), len(await ended(control))) == ([], 1)
    assert (await viewer.play(title)).status_code == 200


async def test_rights_that_were_never_begun_or_never_told_of_are_over_too(
    control: Control, title: dict[str, Any], viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = dict(title)
    await sell(control, viewer.id, other["id"], "view")
    linked = await link(viewer, other)
    await sell(control, viewer.id, title["id"], "rent", hours=24)
    await sell(control, viewer.id, title["id"])
    monkeypatch.setattr(screenings, "AT_ONCE", 1)
    control.clock.advance(linked["hmx"] - control.clock.epoch() + 300)
    await money.end_rights(control.wiring)
    assert len(await ended(control)) == 1
    control.clock.advance(30 * DAY)
    await money.end_rights(control.wiring)
    assert len(await ended(control)) == 2
    assert await pushes(control) == []
    assert [row["ended_at"] is None for row in await viewer.rights()].count(True) == 1
