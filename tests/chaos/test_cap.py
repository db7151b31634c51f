"""The cap holds whatever happens to edges and Redis: every delivery of four edge processes, held against DESIGN 6."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import get_args

import pytest

from tests.support.history import violations
from tests.support.ordeal import BOUNDS, Account, Ordeal, Policy, ordeal

#: `make chaos` asks for more rounds than one; then the ordeal goes on until this many operations are done.
IS_LONG = int(os.environ.get("USHER_CHAOS_ROUNDS", "1")) > 1
OPERATIONS = 100_000 if IS_LONG else 5_000
#: Of these, at least so many come from each policy.
EACH = OPERATIONS // len(get_args(Policy))


@pytest.mark.parametrize("policy", get_args(Policy))
async def test_no_viewer_is_on_more_screens_than_the_cap(tmp_path: Path, policy: Policy) -> None:
    async with ordeal(tmp_path, policy, seed=7) as stage:
        await short(stage)
        while IS_LONG and stage.operations() < EACH:
            await long(stage)
    account = stage.account()
    print(summary(account))
    assert violations(account.history, BOUNDS)[:20] == []
    assert account.operations >= EACH
    assert_it_was_hard(account, policy)


async def short(stage: Ordeal) -> None:
    """Everything once, the long partition beside the rest."""
    await asyncio.gather(
        stage.go_wrong(stage.partition, stage.calm),
        stage.go_wrong(stage.disturb, stage.pause_edge, stage.kill_edge, stage.restart_redis, stage.calm),
    )
    await stage.go_wrong(stage.wipe_redis)


async def long(stage: Ordeal) -> None:
    """Everything in any order, and at once."""
    things = [
        stage.calm, stage.kill_edge, stage.pause_edge, stage.partition, stage.disturb,
        stage.restart_redis, stage.wipe_redis, stage.lose_redis,
    ]  # fmt: skip
    stage.chance.shuffle(things)
    await asyncio.gather(stage.go_wrong(*things[:4]), stage.go_wrong(*things[4:]))


def assert_it_was_hard(account: Account, policy: Policy) -> None:
    """The ordeal was one: what could break the cap happened."""
    history = account.history
    assert len(history.deliveries) > EACH / 4
    assert len({one.edge for one in history.deliveries}) >= 5
    assert all(account.done[name] for name in ("partition", "pause_edge", "kill_edge", "restart_redis", "wipe_redis"))
    # Once may be too few for a player who is in the middle of a film when the edge is cut off.
    assert not IS_LONG or [one for one in history.deliveries if one.at > one.confirmed + BOUNDS.lease_s]
    assert account.refused["seats-unavailable"]
    if policy == "refuse":
        assert account.refused["seats-full"] > 100
    else:
        assert len(history.takeovers) > 100
        assert account.refused["taken-over"] > 100


def summary(account: Account) -> str:
    """What happened, in a line."""
    history = account.history
    return (
        f"{account.operations} operations, {len(history.deliveries)} deliveries, {len(history.takeovers)} takeovers, "
        f"{len(history.ends)} ends; refused {dict(account.refused)}; {dict(account.done)}"
    )
