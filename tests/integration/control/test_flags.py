"""Flags through the real app: switched by admins, seen by every reader within two seconds."""

from __future__ import annotations

import msgspec
from redis.asyncio import Redis

from gateway.control.flags import actions
from shared.clock import ManualClock
from shared.flags import Flags
from shared.settings import ControlSettings
from tests.support.control import Control, code_of, make_admin, register, running_control

ALL = ["cdn.multi.enabled", "fraud.enforce", "live.enabled", "qoe.enabled", "recon.enabled"]


async def _boss(control: Control) -> str:
    me = await register(control.http, "boss")
    await make_admin(control, me["id"])
    return str(me["id"])


async def test_flags_exist_and_are_off_from_the_start(control: Control) -> None:
    await _boss(control)
    items = (await control.http.get("/v1/flags")).json()["items"]
    assert [item["name"] for item in items] == ALL
    assert all(not item["enabled"] and item["percent"] == 100 and item["meaning"] for item in items)


async def test_switch_is_seen_by_readers_when_their_second_is_over(control: Control, redis: Redis) -> None:
    boss, reader = await _boss(control), Flags(redis, control.clock)
    assert not await reader.flag("qoe.enabled", "x")
    answer = await control.http.put("/v1/flags/qoe.enabled", json={"enabled": True})
    assert answer.json()["enabled"] is True and answer.json()["percent"] == 100
    control.clock.advance(1)
    assert await reader.flag("qoe.enabled", "x")
    await control.http.put("/v1/flags/qoe.enabled", json={"enabled": False})
    control.clock.advance(1)
    assert not await reader.flag("qoe.enabled", "x")
    told = (await control.events("flag.changed"))[0]
    assert told["data"] == {"flag": "qoe.enabled", "enabled": True, "percent": 100}
    audit = (await control.rows("select * from audit where action = 'flag.switch' order by seq"))[0]
    assert audit["actor"] == boss and audit["before"] == {"enabled": False, "percent": 100}


async def test_share_of_subjects_sees_a_flag_when_it_has_a_percentage(control: Control, redis: Redis) -> None:
    await _boss(control)
    await control.http.put("/v1/flags/live.enabled", json={"enabled": True, "percent": 30})
    reader = Flags(redis, control.clock)
    seen = {n for n in range(1000) if await reader.flag("live.enabled", str(n))}
    assert 230 < len(seen) < 370
    await control.http.put("/v1/flags/live.enabled", json={"enabled": True, "percent": 60})
    control.clock.advance(1)
    assert seen < {n for n in range(1000) if await reader.flag("live.enabled", str(n))}


async def test_flags_are_refused_when_one_may_not_or_it_is_none(control: Control) -> None:
    assert (await control.http.get("/v1/flags")).status_code == 401
    me = await register(control.http, "ada")
    assert (await control.http.get("/v1/flags")).status_code == 403
    await make_admin(control, me["id"], "auditor")
    assert (await control.http.get("/v1/flags")).status_code == 200
    assert (await control.http.put("/v1/flags/live.enabled", json={"enabled": True})).status_code == 403
    await make_admin(control, me["id"])
    assert code_of(await control.http.put("/v1/flags/no.such", json={"enabled": True})) == (404, "not-found")
    for wrong in ({"enabled": True, "percent": 101}, {"enabled": True, "percent": -1}, {"enabled": 1}, {}):
        assert code_of(await control.http.put("/v1/flags/live.enabled", json=wrong))[0] == 422
    assert await control.events("flag.changed") == []


async def test_copy_is_made_anew_when_redis_lost_it(control: Control, redis: Redis) -> None:
    await _boss(control)
    await control.http.put("/v1/flags/live.enabled", json={"enabled": True})
    await redis.flushall()
    await actions.copy_all(begin=control.wiring["begin"], redis=redis)
    assert await Flags(redis, control.clock).flag("live.enabled")


async def test_switch_says_so_when_redis_is_dead_and_is_kept(settings: ControlSettings, clock: ManualClock) -> None:
    without = msgspec.structs.replace(settings, redis_url="redis://127.0.0.1:9/0")
    async with running_control(without, clock) as control:
        await _boss(control)
        answer = await control.http.put("/v1/flags/live.enabled", json={"enabled": True})
        assert code_of(answer) == (503, "unavailable") and "retry-after" in answer.headers
        assert (await control.rows("select enabled from flag where name = 'live.enabled'"))[0]["enabled"]
