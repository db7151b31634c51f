"""Playing: who gets a link, what the link says, whose screen it is."""

from __future__ import annotations

import jwt
import msgspec
import pytest

from gateway.control.catalogue.model import CONTAINERS
from gateway.control.screenings import actions as screenings
from shared import jobs as farm
from shared.seats import Claim, Seats
from shared.tokens import AUDIENCE, ISSUER, Claims
from tests.support.control import Control, code_of, make_admin, register
from tests.support.market import sell
from tests.support.titles import Desk, desk, ready_of, say


async def play(http: object, title: str, status: int = 200, **body: object) -> dict[str, object]:
    answer = await http.post(f"/v1/titles/{title}/play", json=body)  # type: ignore[attr-defined]
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def token_in(url: str) -> str:
    return url.split("/t/")[1].split("/")[0]


async def claims_in(control: Control, url: str) -> Claims:
    """The claims, after the signature was checked with the published keys."""
    answer = await control.http.get("/.well-known/jwks.json")
    keys = {key["kid"]: jwt.PyJWK(key) for key in answer.json()["keys"]}
    token = token_in(url)
    key = keys[jwt.get_unverified_header(token)["kid"]]
    found = jwt.decode(
        token, key, algorithms=["ES256"], options={"verify_aud": False, "verify_exp": False, "verify_iat": False}
    )
    return msgspec.convert(found, Claims)


async def test_play_when_free_makes_a_guest_and_a_token_the_published_keys_verify(control: Control) -> None:
    seller = await desk(control)
    title = await seller.published()
    guest = control.browser()
    answer = await play(guest, title["short_id"], device="Firefox on Linux")
    claims = await claims_in(control, str(answer["url"]))
    now = int(control.clock.epoch())
    assert (
        answer["url"]
        == f"{control.settings.edge_origin}/t/{token_in(str(answer['url']))}/v/{title['id']}/e/e1/720.m3u8"
    )
    assert answer["alternates"] == [answer["url"]]
    assert (claims.iss, claims.aud, claims.scope, claims.cdniv) == (ISSUER, AUDIENCE, f"v/{title['id']}/", 1)
    assert (claims.iat, claims.exp, claims.hmx) == (now, now + 300, now + 6 * 3600)
    assert (claims.cap, claims.q, claims.sid) == (2, 720, answer["sid"])
    assert claims.d == guest.cookies["usher_device"]
    rows = await control.rows("select kind, sub from principal where kind = 'guest'")
    assert rows == [{"kind": "guest", "sub": claims.sub}]
    player = answer["player"]
    assert isinstance(player, dict)
    assert player["base_url"] == str(answer["url"]).split("/v/")[0]
    assert (player["title"], player["sound_only"]) == ("The Long Way", False)
    assert (await control.events("playback.granted"))[0]["subject"] == answer["sid"]


async def test_play_when_asked_again_by_a_guest_keeps_the_guest(control: Control) -> None:
    title = await (await desk(control)).published()
    guest = control.browser()
    first = await claims_in(control, str((await play(guest, title["id"]))["url"]))
    second = await claims_in(control, str((await play(guest, title["id"]))["url"]))
    assert first.sub == second.sub


async def test_play_when_reloaded_on_the_same_device_keeps_its_screen(control: Control) -> None:
    title = await (await desk(control)).published()
    viewer = control.browser()
    first = await play(viewer, title["id"])
    claims = await claims_in(control, str(first["url"]))
    assert (await play(viewer, title["id"]))["sid"] != first["sid"], "no seat was taken yet"
    seats = Seats(control.wiring["redis"], lease_s=45, policy="refuse")
    claim = Claim(
        sub=claims.sub, sid=claims.sid, cap=2, hmx=claims.hmx, may_start=True, device=claims.d, title=title["id"]
    )
    assert (await seats.take(claim)).state == "seated"
    assert (await play(viewer, title["id"]))["sid"] == first["sid"]
    await control.wiring["redis"].hset(f"gone:{{{claims.sub}}}", claims.sid, "revoked")
    assert (await play(viewer, title["id"]))["sid"] != first["sid"], "a session that was ended is not given again"


async def test_play_when_another_device_watches_draws_a_new_session(control: Control) -> None:
    title = await (await desk(control)).published()
    viewer, phone = control.browser(), control.browser()
    await register(viewer, "vera")
    await phone.post("/v1/auth/login", json={"login": "vera", "password": "correct horse battery"})
    first = await play(viewer, title["id"])
    claims = await claims_in(control, str(first["url"]))
    seats = Seats(control.wiring["redis"], lease_s=45, policy="refuse")
    await seats.take(Claim(sub=claims.sub, sid=claims.sid, cap=2, hmx=claims.hmx, may_start=True, device=claims.d))
    second = await play(phone, title["id"])
    assert second["sid"] != first["sid"]
    assert (await claims_in(control, str(second["url"]))).sub == claims.sub


async def test_play_when_it_costs_something_is_for_those_with_a_right(control: Control) -> None:
    seller = await desk(control)
    title = await seller.published(price_minor=499)
    viewer = control.browser()
    assert (await play(viewer, title["id"], 401))["code"] == "unauthenticated"
    await register(viewer, "vera")
    assert (await play(viewer, title["id"], 403))["code"] == "entitlement-no-right"
    await seller.ask("PUT", f"titles/{title['id']}/viewers/Vera", 204)
    await play(viewer, title["id"])
    await play(seller.http, title["id"])
    await seller.ask("DELETE", f"titles/{title['id']}/viewers/vera", 204)
    assert (await play(viewer, title["id"], 403))["code"] == "entitlement-no-right"


async def test_play_when_a_guest_wants_what_costs_asks_for_a_login(control: Control) -> None:
    seller = await desk(control)
    free, costly = await seller.published(), await seller.published(price_minor=100)
    guest = control.browser()
    await play(guest, free["id"])
    await play(guest, costly["id"], 401)


async def test_play_when_outside_the_window_is_for_owner_and_admin(control: Control) -> None:
    seller, admin, viewer = await desk(control), control.browser(), control.browser()
    await make_admin(control, (await register(admin, "ada"))["id"])
    await register(viewer, "vera")
    title = await seller.published()
    start = "2999-01-01T00:00:00Z"
    await seller.ask("PATCH", f"titles/{title['id']}", 200, {"window_from": start})
    assert (await play(viewer, title["id"], 403))["code"] == "entitlement-outside-window"
    await play(seller.http, title["id"])
    await play(admin, title["id"])


async def test_play_when_the_window_ends_soon_ends_with_it(control: Control) -> None:
    seller = await desk(control)
    title = await seller.published()
    until = int(control.clock.epoch()) + 120
    end = f"{control.clock.now().fromtimestamp(until, control.clock.now().tzinfo).isoformat()}"
    await seller.ask("PATCH", f"titles/{title['id']}", 200, {"window_until": end})
    claims = await claims_in(control, str((await play(control.browser(), title["id"]))["url"]))
    assert (claims.exp, claims.hmx) == (until, until)
    owner = await claims_in(control, str((await play(seller.http, title["id"]))["url"]))
    assert owner.hmx == int(control.clock.epoch()) + 6 * 3600


async def test_play_when_the_title_is_made_says_so_and_how_much_there_is(control: Control) -> None:
    seller, viewer = await desk(control), control.browser()
    title, job = await seller.making(price_minor=499)
    path = f"/v1/titles/{title['id']}"
    assert code_of(await viewer.get(f"{path}/making")) == (404, "not-found")
    await seller.ask("POST", f"titles/{title['id']}/publish")
    assert code_of(await viewer.get(f"{path}/making")) == (401, "unauthenticated")
    await register(viewer, "vera")
    assert code_of(await viewer.get(f"{path}/making")) == (403, "entitlement-no-right")
    await seller.ask("PUT", f"titles/{title['id']}/viewers/vera", 204)
    assert (await play(viewer, title["id"]))["making"] is True
    told = (await viewer.get(f"{path}/making")).json()
    assert told == {"making": True, "fraction": 0.0, "duration_s": 10.0, "made": []}

    await control.rows("update job_chunk set media_s = 10 where job = $1 and chunk = '0' returning 1", job.id)
    for chunk in ("0", "sound"):
        await say(control, farm.ChunkDone(job=job.id, chunk=chunk))
    told = (await viewer.get(f"{path}/making")).json()
    assert (told["making"], told["made"]) == (True, [[0.0, 10.0]])
    assert 0.9 < told["fraction"] < 1

    await say(control, msgspec.structs.replace(ready_of(job.id), has_storyboard=True))
    whole = await play(viewer, title["id"])
    told = (await viewer.get(f"{path}/making")).json()
    assert told == {"making": False, "fraction": 1.0, "duration_s": 10.0, "made": [[0.0, 10.0]]}
    player = whole["player"]
    assert isinstance(player, dict)
    assert whole["making"] is False
    assert player["sprites"] == f"{player['base_url']}/v/{title['id']}/v1/sprites/index.vtt"


async def test_play_when_taken_down_says_the_notice_to_everybody(control: Control) -> None:
    seller, admin = await desk(control), control.browser()
    await make_admin(control, (await register(admin, "ada"))["id"])
    title = await seller.published()
    order = {"reason": "claim 17", "notice": "Taken down after a claim."}
    await admin.put(f"/v1/titles/{title['id']}/takedown", json=order)
    for http in (control.browser(), seller.http, admin):
        problem = await play(http, title["id"], 410)
        assert (problem["code"], problem["details"]) == ("taken-down", {"notice": "Taken down after a claim."})


@pytest.mark.parametrize("kind", sorted({"video", "audio"} - CONTAINERS))
async def test_play_when_not_ready_is_refused_to_its_owner_and_unknown_to_others(control: Control, kind: str) -> None:
    seller = await desk(control)
    title = await seller.title(kind=kind)
    assert (await play(seller.http, title["id"], 403))["code"] == "entitlement-not-ready"
    await play(control.browser(), title["id"], 404)


async def test_play_when_redis_is_dead_draws_a_session(control: Control) -> None:
    seller: Desk = await desk(control)
    title = await seller.published()
    control.wiring["redis"].connection_pool.connection_kwargs["port"] = 1
    await control.wiring["redis"].connection_pool.disconnect()
    await play(seller.http, title["id"])


async def test_play_when_its_session_is_stopped_on_the_way_is_of_another(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    title = await (await desk(control)).published()
    viewer = control.browser()
    await register(viewer, "vera")
    first = str((await play(viewer, title["id"]))["sid"])

    async def stopped(*args: object, **ports: object) -> str:
        assert (await viewer.delete(f"/v1/me/sessions/{first}")).status_code == 204
        return first

    monkeypatch.setattr(screenings, "session_of", stopped)
    assert (await play(viewer, title["id"]))["sid"] != first


async def test_play_by_a_view_that_was_stopped_is_of_another_session_when_redis_forgot_that(control: Control) -> None:
    title = await (await desk(control)).published(price_minor=499)
    viewer = control.browser()
    await sell(control, (await register(viewer, "vera"))["id"], title["id"], "view")
    first = (await play(viewer, title["id"]))["sid"]
    assert (await play(viewer, title["id"]))["sid"] == first
    assert (await viewer.delete(f"/v1/me/sessions/{first}")).status_code == 204
    redis = control.wiring["redis"]
    assert await redis.delete(*await redis.keys("gone:*")) == 1
    second = (await play(viewer, title["id"]))["sid"]
    assert second != first
    assert (await play(viewer, title["id"]))["sid"] == second


async def test_keys_when_rotated_are_published_within_seconds(control: Control) -> None:
    from shared import keys
    from shared.secrets import PLAYBACK_KEYS, FolderSecrets

    secrets = FolderSecrets(control.settings.secrets_dir, {})
    before = (await control.http.get("/.well-known/jwks.json")).json()
    rotated = keys.rotate(keys.parse_key_set(secrets.read(PLAYBACK_KEYS)))
    secrets.write(PLAYBACK_KEYS, msgspec.json.encode(rotated))
    control.clock.advance(5)
    answer = await control.http.get("/.well-known/jwks.json")
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert len(before["keys"]) == 2 and len(answer.json()["keys"]) == 3
    assert all("d" not in key for key in answer.json()["keys"])
    title = await (await desk(control)).published()
    url = str((await play(control.browser(), title["id"]))["url"])
    assert jwt.get_unverified_header(token_in(url))["kid"] == rotated.current.kid
