"""Titles through the real app: made, changed, shown, found, taken down; who learns of them and who does not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gateway.control.catalogue import actions as catalogue
from gateway.control.idempotency.model import HEADER
from shared import jobs as farm
from shared.ids import new_id
from shared.storage import names
from tests.support.control import Control, code_of, make_admin, register
from tests.support.titles import PLAYABLE, Desk, desk, ready_of, say


@pytest.fixture
async def admin(control: Control) -> Any:
    """A browser of an admin."""
    http = control.browser("10.2.0.1")
    await make_admin(control, (await register(http, "ada"))["id"])
    return http


async def test_title_is_a_draft_when_it_is_made(control: Control, seller: Desk) -> None:
    title = await seller.title(name="Größe: Teil 1", price_minor=499, currency="EUR")
    assert (title["state"], title["slug"], title["price_minor"], title["currency"]) == (
        "draft",
        "groesse-teil-1",
        499,
        "EUR",
    )
    assert title["seller"] == {"name": "Studio", "handle": "studio"}
    assert title["watch_url"] == f"/watch/{title['short_id']}/groesse-teil-1"
    assert len(title["short_id"]) == 4 and not title["short_id_frozen"]
    assert await seller.ask("GET", f"titles/{title['short_id'].upper()}") == title
    assert [e["data"] for e in await control.events("title.created")] == [
        {"title": title["id"], "seller": seller.seller["id"]}
    ]


WRONG: list[dict[str, Any]] = [
    {"name": ""},
    {"name": "   "},
    {"name": "a", "price_minor": -1},
    {"name": "a", "price_minor": 1.5},
    {"name": "a", "currency": "usd"},
    {"name": "a", "kind": "film"},
    {"name": "a", "kind": "season"},
    {"name": "a", "short_id": "abc"},
    {"name": "a", "short_id": "ABCD"},
    {"name": "a", "unknown": 1},
    {"name": "x" * 201},
    {"name": "nul\x00"},
]


async def test_title_is_refused_when_a_field_is_wrong(seller: Desk) -> None:
    for wrong in WRONG:
        await seller.ask("POST", "titles", 422, {"seller": seller.seller["id"], **wrong})
    assert (await seller.ask("GET", "studio/titles"))["items"] == []


async def test_slug_is_numbered_when_the_name_is_taken(control: Control, seller: Desk) -> None:
    slugs = [(await seller.title(name=name))["slug"] for name in ("Film", "Film", "film!", "Film 2", "Filmed")]
    assert slugs == ["film", "film-2", "film-3", "film-2-2", "filmed"]
    other = await desk(control, "rival")
    assert (await other.title(name="Film"))["slug"] == "film"


async def test_series_hold_seasons_and_seasons_hold_episodes(control: Control, seller: Desk) -> None:
    series = await seller.title(kind="series")
    season = await seller.title(kind="season", parent_id=series["id"])
    episode = await seller.title(kind="episode", parent_id=season["id"])
    assert episode["parent_id"] == season["id"]
    rival = await desk(control, "rival")
    body = {"seller": rival.seller["id"], "name": "x", "kind": "season", "parent_id": series["id"]}
    await rival.ask("POST", "titles", 404, body)
    assert (await seller.ask("POST", f"titles/{series['id']}/publish"))["state"] == "published"


async def test_change_sets_what_was_sent_and_nothing_else(control: Control, seller: Desk) -> None:
    title = await seller.title(description="long")
    changed = await seller.ask(
        "PATCH", f"titles/{title['id']}", 200, {"name": "New", "window_from": "2026-01-01T00:00:00+02:00"}
    )
    assert changed == {
        **title,
        "name": "New",
        "slug": "new",
        "window_from": "2025-12-31T22:00:00Z",
        "watch_url": f"/watch/{title['short_id']}/new",
    }
    cleared = await seller.ask("PATCH", f"titles/{title['id']}", 200, {"window_from": None})
    assert cleared["window_from"] is None
    assert (await control.events("title.updated"))[0]["data"]["fields"] == ["name", "slug", "window_from"]
    await seller.ask(
        "PATCH",
        f"titles/{title['id']}",
        422,
        {"window_from": "2026-01-02T00:00:00Z", "window_until": "2026-01-01T00:00:00Z"},
    )
    await seller.ask("PATCH", f"titles/{title['id']}", 422, {"window_from": "2026-01-02T00:00:00"})
    await seller.ask("PATCH", f"titles/{title['id']}", 422, {"state": "published"})


async def test_states_move_only_as_they_may(seller: Desk) -> None:
    draft = await seller.title()
    await seller.ask("POST", f"titles/{draft['id']}/publish", 409)
    ready = await seller.ready()
    shown = await seller.ask("POST", f"titles/{ready['id']}/publish")
    await seller.ask("POST", f"titles/{ready['id']}/publish", 409)
    assert (await seller.ask("POST", f"titles/{ready['id']}/archive"))["state"] == "archived"
    again = await seller.ask("POST", f"titles/{ready['id']}/publish")
    assert (again["state"], again["published_at"]) == ("published", shown["published_at"])


async def test_title_in_the_making_is_published_and_becomes_whole(control: Control, seller: Desk) -> None:
    title, job = await seller.making()
    assert (title["state"], title["making"], title["duration_s"], title["height"]) == ("processing", True, 10.0, 720)
    shown = await seller.ask("POST", f"titles/{title['id']}/publish")
    assert (shown["state"], shown["making"]) == ("published", True)
    await say(control, ready_of(job.id))
    whole = await seller.ask("GET", f"titles/{title['id']}")
    assert (whole["state"], whole["making"], whole["ceilings"]) == ("published", False, ["720", "360"])
    rows = await control.rows("select edition from title where id = $1", title["id"])
    assert rows == [{"edition": "e1"}]


async def test_title_in_the_making_loses_its_edition_when_the_job_fails(control: Control, seller: Desk) -> None:
    draft, first = await seller.making(name="Draft")
    shown, second = await seller.making(name="Shown")
    await seller.ask("POST", f"titles/{shown['id']}/publish")
    for job in (first, second):
        await say(control, farm.Failed(job=job.id, chunk="1", code="bad", words="It ends early.", final=True))
    rows = await control.rows("select state, version, edition, ceilings, duration_s, making from title order by name")
    gone: dict[str, Any] = {"version": None, "edition": None, "ceilings": [], "duration_s": None, "making": False}
    assert rows == [{"state": "draft", **gone}, {"state": "published", **gone}]
    await seller.ask("POST", f"titles/{draft['id']}/publish", 409)
    answer = await control.browser().post(f"/v1/titles/{shown['id']}/play", json={})
    assert code_of(answer) == (403, "entitlement-not-ready")


async def test_new_master_ends_what_was_in_the_making(control: Control, seller: Desk) -> None:
    title, _ = await seller.making()
    await seller.ask("POST", f"titles/{title['id']}/publish")
    await seller.queue(title["id"])
    now = await seller.ask("GET", f"titles/{title['id']}")
    assert (now["state"], now["making"], now["ceilings"]) == ("published", False, [])


async def test_whole_edition_stays_until_the_next_is_whole(control: Control, seller: Desk) -> None:
    title = await seller.published()
    job = await seller.queue(title["id"])
    async with control.wiring["begin"]() as unit:
        await catalogue.become_playable(title["id"], **{**PLAYABLE, "version": "v2"}, titles=unit.catalogue)
        await catalogue.end_making(title["id"], unit.catalogue)
    rows = await control.rows("select version, edition, making from title where id = $1", title["id"])
    assert rows == [{"version": "v1", "edition": "e1", "making": False}]
    await say(control, ready_of(job.id, version="v2", edition="e2"))
    rows = await control.rows("select version, edition, making from title where id = $1", title["id"])
    assert rows == [{"version": "v2", "edition": "e2", "making": False}]


async def test_shelf_pages_are_stable_while_titles_are_published(control: Control, seller: Desk) -> None:
    made = []
    for _ in range(7):
        made.append((await seller.published())["id"])
        control.clock.advance(1)
    seen, cursor = [], ""
    for _ in range(4):
        page = (await control.http.get(f"/v1/titles?limit=2&cursor={cursor}")).json()
        seen += [card["id"] for card in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
        await seller.published()
        control.clock.advance(1)
    assert seen == made[::-1]
    assert (await control.http.get("/v1/titles?cursor=nonsense")).status_code == 422
    assert (await control.http.get("/v1/titles?limit=0")).status_code == 422


async def test_shelf_shows_only_what_may_be_watched_now(control: Control, seller: Desk, admin: Any) -> None:
    await seller.title()
    await seller.ready()
    shown, early, late, down, gone = [await seller.published() for _ in range(5)]
    await seller.ask("PATCH", f"titles/{early['id']}", 200, {"window_from": "2999-01-01T00:00:00Z"})
    await seller.ask("PATCH", f"titles/{late['id']}", 200, {"window_until": "2020-01-01T00:00:00Z"})
    await admin.put(f"/v1/titles/{down['id']}/takedown", json={"reason": "r", "notice": "n"})
    await seller.ask("POST", f"titles/{gone['id']}/archive")
    assert [card["id"] for card in (await control.http.get("/v1/titles")).json()["items"]] == [shown["id"]]


SEARCHES = {
    "harbour": ["Harbour Lights", "The Old Harbour"],
    "harb": ["Harbour Lights", "The Old Harbour"],
    "old harb": ["The Old Harbour"],
    '"old harbour"': ["The Old Harbour"],
    "harbour -old": ["Harbour Lights"],
    "sea": ["Harbour Lights"],
    "nothing": [],
    "' & | ! :*": [],
    "%": [],
    "\x00": ["Harbour Lights", "Mountains", "The Old Harbour"],
}


async def test_search_finds_words_and_beginnings_of_the_last(control: Control, seller: Desk) -> None:
    await seller.published(name="The Old Harbour")
    await seller.published(name="Harbour Lights", description="by the sea")
    await seller.published(name="Mountains")
    await seller.ready(name="Harbour, unseen")
    for query, found in SEARCHES.items():
        answer = await control.http.get("/v1/titles", params={"q": query})
        assert sorted(card["name"] for card in answer.json()["items"]) == found, query


async def test_children_are_listed_by_their_parent(control: Control, seller: Desk) -> None:
    series = await seller.title(kind="series")
    one = await seller.published(kind="episode", parent_id=series["id"])
    await seller.published()
    answer = await control.http.get("/v1/titles", params={"parent": series["id"]})
    assert [card["id"] for card in answer.json()["items"]] == [one["id"]]


async def test_takedown_is_told_recorded_and_undone(control: Control, seller: Desk, admin: Any) -> None:
    title = await seller.published()
    path = f"/v1/titles/{title['id']}/takedown"
    assert (await seller.http.put(path, json={"reason": "r", "notice": "n"})).status_code == 403
    assert (await control.http.put(path, json={"reason": "r", "notice": "n"})).status_code == 401
    assert (await admin.put(path, json={"reason": "claim 17", "notice": "After a claim."})).status_code == 200
    public = (await control.http.get(f"/v1/titles/{title['short_id']}")).json()
    assert public["takedown"] == {"reason": "", "notice": "After a claim."}
    assert (await seller.ask("GET", f"titles/{title['id']}"))["takedown"]["reason"] == "claim 17"
    pushes = await control.rows("select data from outbox where topic = 'push'")
    assert [(p["data"]["kind"], p["data"]["key"]) for p in pushes] == [("title", title["id"])]
    assert pushes[0]["data"]["iat"] >= int(control.clock.epoch())
    assert (await control.events("title.takedown"))[0]["data"] == {"title": title["id"], "reason": "claim 17"}
    assert (await admin.delete(path)).status_code == 200
    assert (await admin.delete(path)).status_code == 409
    assert (await control.http.get(f"/v1/titles/{title['id']}")).json()["takedown"] is None
    audit = await control.rows("select action, object, after from audit where object = $1 order by seq", title["id"])
    said = [row["action"] for row in audit]
    assert said == ["title:create", "title:publish", "title:takedown", "title:restore"]
    assert audit[1]["after"] == {"state": "published"}


ROUTES = [
    ("GET", "", None),
    ("PATCH", "", {"name": "x"}),
    ("POST", "/publish", None),
    ("POST", "/archive", None),
    ("PUT", "/takedown", {"reason": "r", "notice": "n"}),
    ("DELETE", "/takedown", None),
    ("GET", "/poster.jpg", None),
    ("GET", "/jobs", None),
    ("GET", "/viewers", None),
    ("PUT", "/viewers/eve", None),
    ("DELETE", "/viewers/eve", None),
    ("POST", "/play", {}),
]


async def test_titles_of_others_do_not_exist_before_they_are_published(control: Control, seller: Desk) -> None:
    title = await seller.ready()
    stranger = control.browser("10.9.9.9")
    await register(stranger, "eve")
    refs = (title["id"], title["short_id"], "ttl_" + "0" * 32, "zzzz", "%20", "x" * 99)
    for method, path, body in ROUTES:
        answers = [
            await stranger.request(method, f"/v1/titles/{ref}{path}", json=body, headers={HEADER: new_id("key")})
            for ref in refs
        ]
        assert [a.status_code for a in answers] == [404] * len(refs), (method, path)
        assert len({a.json()["detail"] for a in answers}) == 1


async def test_published_titles_of_others_are_seen_and_not_touched(control: Control, seller: Desk) -> None:
    title = await seller.published()
    stranger = control.browser("10.9.9.9")
    await register(stranger, "eve")
    assert (await stranger.get(f"/v1/titles/{title['id']}")).status_code == 200
    for method, path, body in ROUTES[1:6] + ROUTES[7:11]:
        headers = {HEADER: new_id("key")}
        answer = await stranger.request(method, f"/v1/titles/{title['id']}{path}", json=body, headers=headers)
        assert answer.status_code == 403, (method, path)
    listed = await stranger.get("/v1/studio/titles", params={"seller": "studio"})
    assert listed.status_code == 404
    body = {"seller": seller.seller["id"], "name": "x"}
    assert (await stranger.post("/v1/titles", json=body)).status_code == 404


async def test_poster_is_served_with_an_etag(control: Control, seller: Desk) -> None:
    title = await seller.published()
    path = title["poster_url"]
    assert (await control.http.get(path)).status_code == 404
    await control.wiring["bucket"].put(names.poster(title["id"], "v1"), b"jpeg")
    answer = await control.http.get(path)
    assert (answer.content, answer.headers["content-type"]) == (b"jpeg", "image/jpeg")
    assert answer.headers["cache-control"].startswith("public")
    again = await control.http.get(path, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_seller_chooses_the_still_and_alone_sees_the_others(control: Control, seller: Desk) -> None:
    title, job = await seller.making()
    await say(control, msgspec.structs.replace(ready_of(job.id), posters=3))
    await seller.ask("POST", f"titles/{title['id']}/publish")
    path = f"titles/{title['id']}"
    for number in range(3):
        still = names.poster(title["id"], "v1", number)
        await control.wiring["bucket"].put(still, f"jpeg {number}".encode())
    whole = await seller.ask("GET", path)
    assert (whole["posters"], whole["poster"]) == (3, 0)
    chosen = await seller.ask("PATCH", path, 200, {"poster": 2})
    assert chosen["poster_url"] != whole["poster_url"]
    public = await control.browser().get(chosen["poster_url"])
    assert public.content == b"jpeg 2"
    assert (await seller.http.get(f"/v1/{path}/poster.jpg?still=1")).content == b"jpeg 1"
    for still in ("3", "x", "-1"):
        assert (await seller.http.get(f"/v1/{path}/poster.jpg?still={still}")).status_code == 404
    assert (await control.browser().get(f"/v1/{path}/poster.jpg?still=1")).status_code == 404
    await seller.ask("PATCH", path, 422, {"poster": 3})
    await seller.ask("PATCH", path, 422, {"poster": -1})
    again = await seller.queue(title["id"])
    await say(control, msgspec.structs.replace(ready_of(again.id, version="v2"), posters=3))
    assert (await seller.ask("GET", path))["poster"] == 0


async def test_studio_lists_all_states_of_ones_own_sellers(control: Control, seller: Desk) -> None:
    for _ in range(3):
        await seller.title()
        control.clock.advance(1)
    await (await desk(control, "rival")).title()
    first = await seller.ask("GET", "studio/titles?limit=2&seller=studio")
    rest = await seller.ask("GET", f"studio/titles?limit=2&cursor={first['next']}")
    assert len(first["items"]) == 2 and len(rest["items"]) == 1 and rest["next"] is None
    assert {item["job"] for item in first["items"]} == {None}
