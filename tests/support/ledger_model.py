"""A second ledger, of dictionaries: what each act ought to do, for the real one to be held against."""

from __future__ import annotations

from datetime import datetime

import msgspec

from gateway.control.ledger import actions
from gateway.control.ledger.model import HoldOrder, Movement
from gateway.control.wiring import Unit
from shared.errors import HoldClosed, Insufficient, KeyReused, Unbalanced

Place = tuple[str, str]


class ModelHold(msgspec.Struct):
    """A hold as the model has it; `captured_by` is the key of the movement that was booked for it."""

    order: HoldOrder
    state: str = "open"
    captured_by: str = ""


class ModelBooks(msgspec.Struct):
    """Balances, what is held of them, holds by key, and everything booked by key."""

    balances: dict[Place, int] = {}
    held: dict[Place, int] = {}
    holds: dict[str, ModelHold] = {}
    booked: dict[str, bytes] = {}

    def copy(self) -> ModelBooks:
        """Apart from this one."""
        holds = {key: msgspec.structs.replace(hold) for key, hold in self.holds.items()}
        return ModelBooks(dict(self.balances), dict(self.held), holds, dict(self.booked))

    def post(self, movement: Movement) -> bool:
        """Whether it is a replay. Raises KeyReused, Insufficient."""
        if movement.key in self.booked:
            if self.booked[movement.key] != movement.hash:
                raise KeyReused
            return True
        after = dict(self.balances)
        for leg in movement.legs:
            place = (leg.account, leg.asset)
            after[place] = after.get(place, 0) + leg.amount
        for place, amount in after.items():
            kind = place[0].partition(":")[0]
            if (kind in ("wallet", "earnings") and amount < self.held.get(place, 0)) or (
                kind == "receivable" and amount > 0
            ):
                raise Insufficient
        self.balances = after
        self.booked[movement.key] = movement.hash
        return False

    def hold(self, order: HoldOrder) -> bool:
        """Whether it is a replay. Raises KeyReused, Insufficient."""
        if order.key in self.holds:
            if self.holds[order.key].order.hash != order.hash:
                raise KeyReused
            return True
        place = (order.account, order.asset)
        if self.balances.get(place, 0) - self.held.get(place, 0) < order.amount:
            raise Insufficient
        self.held[place] = self.held.get(place, 0) + order.amount
        self.holds[order.key] = ModelHold(order)
        return False

    def capture(self, key: str, movement: Movement, now: datetime) -> bool:
        """Whether it is a replay. Raises HoldClosed, KeyReused, Unbalanced."""
        hold = self.holds[key]
        if hold.state == "captured" and hold.captured_by == movement.key:
            return self.post(movement)
        if hold.state != "open" or hold.order.expires_at <= now:
            raise HoldClosed
        taken = -sum(leg.amount for leg in movement.legs if leg.account == hold.order.account)
        if not 0 < taken <= hold.order.amount:
            raise Unbalanced
        self._close(hold, "captured")
        if self.post(movement):
            raise KeyReused
        hold.captured_by = movement.key
        return False

    def void(self, key: str) -> bool:
        """Whether it was voided before. Raises HoldClosed."""
        hold = self.holds[key]
        if hold.state not in ("open", "voided"):
            raise HoldClosed
        if hold.state == "voided":
            return True
        self._close(hold, "voided")
        return False

    def expire(self, now: datetime) -> None:
        """Free what is over."""
        for hold in self.holds.values():
            if hold.state == "open" and hold.order.expires_at <= now:
                self._close(hold, "expired")

    def _close(self, hold: ModelHold, state: str) -> None:
        hold.state = state
        self.held[hold.order.account, hold.order.asset] -= hold.order.amount


class Post(msgspec.Struct, frozen=True):
    """Book a movement."""

    movement: Movement

    def model(self, books: ModelBooks) -> bool:
        """On the model."""
        return books.post(self.movement)

    async def real(self, unit: Unit, ids: dict[str, str]) -> bool:
        """On Postgres."""
        return (await actions.post(self.movement, ledger=unit.ledger)).replayed


class SetAside(msgspec.Struct, frozen=True):
    """Hold an amount."""

    order: HoldOrder

    def model(self, books: ModelBooks) -> bool:
        """On the model."""
        return books.hold(self.order)

    async def real(self, unit: Unit, ids: dict[str, str]) -> bool:
        """On Postgres."""
        held = await actions.hold(self.order, ledger=unit.ledger)
        assert ids.setdefault(self.order.key, held.hold) == held.hold or not held.replayed
        ids[self.order.key] = held.hold
        return held.replayed


class Capture(msgspec.Struct, frozen=True):
    """Book what a hold was for."""

    key: str
    movement: Movement
    now: datetime

    def model(self, books: ModelBooks) -> bool:
        """On the model."""
        return books.capture(self.key, self.movement, self.now)

    async def real(self, unit: Unit, ids: dict[str, str]) -> bool:
        """On Postgres."""
        return (await actions.capture(ids[self.key], self.movement, ledger=unit.ledger, now=self.now)).replayed


class Void(msgspec.Struct, frozen=True):
    """Free what was held."""

    key: str
    now: datetime

    def model(self, books: ModelBooks) -> bool:
        """On the model."""
        return books.void(self.key)

    async def real(self, unit: Unit, ids: dict[str, str]) -> bool:
        """On Postgres."""
        return not await actions.void(ids[self.key], ledger=unit.ledger, now=self.now)


Act = Post | SetAside | Capture | Void
