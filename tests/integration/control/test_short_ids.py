"""Short ids in the real database: drawn, chosen, grown, frozen."""

from __future__ import annotations

import asyncio

import pytest

from gateway.control.catalogue import actions
from gateway.control.catalogue.model import NewTitle, Title
from shared.ids import SHORT_ALPHABET
from tests.support.control import Control
from tests.support.titles import Desk


async def fill(control: Control, seller: Desk, length: int, count: int) -> None:
    """Titles with ids of `length` symbols that no draw can hit (they hold letters that are never drawn)."""
    await control.rows(
        "insert into title (id, seller, kind, short_id, short_folded, slug, name) "
        "select 'ttl_' || id, $1, 'video', 'x', id, 'fill-' || id, 'Filling' "
        "from (select lpad(g::text, $2, '0') as id from generate_series(1, $3::int) g) ids",
        seller.seller["id"],
        length,
        count,
    )


async def make(control: Control, seller: Desk, drawn: list[str]) -> Title:
    """A title whose short id comes from a list of draws."""
    async with control.wiring["begin"]() as unit:
        principal = await unit.entitlements.principal(seller.me["id"])
        assert principal is not None
        return await actions.create(
            NewTitle(seller=seller.seller["id"], name="A"),
            by=principal,
            titles=unit.catalogue,
            outbox=unit.outbox,
            clock=control.clock,
            draw=lambda length: drawn.pop(0)[:length],
        )


async def test_ids_grow_when_five_draws_collide(control: Control, seller: Desk) -> None:
    await seller.title(short_id="abcd")
    assert (await make(control, seller, ["abcdefgh"] * 5 + ["abcdefgh"])).short_id == "abcde"
    assert (await make(control, seller, ["abcdefgh"] * 10 + ["abcdefgh"])).short_id == "abcdef"


async def test_ids_stay_short_when_four_draws_collide(control: Control, seller: Desk) -> None:
    await seller.title(short_id="abcd")
    assert (await make(control, seller, ["abcd"] * 4 + ["efgh"])).short_id == "efgh"


async def test_ids_grow_when_a_space_is_more_than_half_full(
    control: Control, seller: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    length_of = actions.short_id_length
    monkeypatch.setattr(actions, "short_id_length", lambda counts: length_of(counts, alphabet=3))
    await fill(control, seller, 4, 3**4 // 2)
    assert len((await seller.title())["short_id"]) == 4
    assert len((await seller.title())["short_id"]) == 5
    await fill(control, seller, 5, 3**5 // 2)
    assert len((await seller.title())["short_id"]) == 6


async def test_chosen_ids_are_unique_however_they_are_read(seller: Desk) -> None:
    await seller.title(short_id="g0l1")
    for same in ("g0l1", "gol1", "goli", "g0ll"):
        problem = await seller.ask(
            "POST", "titles", 409, {"seller": seller.seller["id"], "name": "x", "short_id": same}
        )
        assert problem["code"] == "short-id-taken"
    found = await seller.ask("GET", "titles/GOLI")
    assert found["short_id"] == "g0l1"
    await seller.title(short_id="gol2")


async def test_id_is_frozen_when_the_title_was_published_once(seller: Desk) -> None:
    title = await seller.ready()
    await seller.ask("PATCH", f"titles/{title['id']}", 200, {"short_id": "chosen1"})
    await seller.ask("POST", f"titles/{title['id']}/publish")
    await seller.ask("POST", f"titles/{title['id']}/archive")
    problem = await seller.ask("PATCH", f"titles/{title['id']}", 409, {"short_id": "other22"})
    assert problem["code"] == "short-id-frozen"
    kept = await seller.ask("PATCH", f"titles/{title['id']}", 200, {"short_id": "chosen1"})
    assert kept["short_id_frozen"]


async def test_change_to_a_taken_id_is_refused(seller: Desk) -> None:
    await seller.title(short_id="taken1")
    title = await seller.title()
    problem = await seller.ask("PATCH", f"titles/{title['id']}", 409, {"short_id": "takenl"})
    assert problem["code"] == "short-id-taken"


async def test_names_are_each_ones_own_when_many_are_made_at_once(seller: Desk) -> None:
    made = await asyncio.gather(*(seller.title() for _ in range(12)))
    assert len({title["short_id"] for title in made}) == 12
    assert {title["slug"] for title in made} == {"the-long-way", *(f"the-long-way-{n}" for n in range(2, 13))}
    assert all(set(title["short_id"]) <= set(SHORT_ALPHABET) for title in made)
