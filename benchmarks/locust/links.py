"""The links players are given: one a viewer, one many sharers use, three of a viewer with two screens."""

from __future__ import annotations

import msgspec

from benchmarks.tickets import Mint
from shared.ids import new_secret

SHARERS, FIGHTERS, LEAVERS = 3, 4, 10
#: How often one of them begins anew with another link.
TURNS = 20


class Links(msgspec.Struct, frozen=True):
    """Paths of multivariant playlists. `fights`: three sessions of one viewer, whose cap is two."""

    viewers: list[str]
    leavers: list[str]
    sharers: list[str] = []
    fights: list[list[str]] = []


def draw(mint: Mint, master: str, *, viewers: int) -> Links:
    """Links of the edge."""

    def links(number: int) -> list[str]:
        return [f"/t/{token}/{master}" for token in mint.draw(number)]

    def fight() -> list[str]:
        sub = new_secret(12)
        return [f"/t/{mint.token(sid=new_secret(12), sub=sub, cap=2)}/{master}" for _ in range(3)]

    return Links(
        viewers=links(viewers),
        leavers=links(LEAVERS * TURNS),
        sharers=links(SHARERS * TURNS),
        fights=[fight() for _ in range(FIGHTERS * TURNS)],
    )
