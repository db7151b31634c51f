"""Tokens that passed the gate, remembered; tokens that did not, limited."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from gateway.edge import gate
from gateway.edge.keyring import Keyring
from gateway.edge.refusals import Refusal
from shared.tokens import Claims

#: Failed verifications a second, of one address and of all together, after which new tokens get 429.
PER_ADDRESS, IN_TOTAL = 50, 1000
SIZE = 65_536


class Failures:
    """Counts failed verifications in the running second; forgets them with it."""

    def __init__(self, *, tick: Callable[[], float], per_address: int = PER_ADDRESS, total: int = IN_TOTAL) -> None:
        self._tick, self._per_address, self._limit = tick, per_address, total
        self._second, self._total = 0, 0
        self._by_address: dict[str, int] = {}

    def check(self, address: str) -> None:
        """Raise Refusal too-many where the address, or all together, failed too often in this second."""
        self._turn()
        if self._total >= self._limit or self._by_address.get(address, 0) >= self._per_address:
            raise Refusal("too-many", retry_after_s=1)

    def count(self, address: str) -> None:
        """Note one failure."""
        self._turn()
        self._total += 1
        self._by_address[address] = self._by_address.get(address, 0) + 1

    def _turn(self) -> None:
        second = int(self._tick())
        if second != self._second:
            self._second, self._total = second, 0
            self._by_address.clear()


class Verified:
    """Claims by token, for tokens already verified: a signature is checked once, then this is a dict lookup.

    An entry lives to its `hmx`, which `gate.permit` checks at each request, or until newer ones push it out.
    """

    def __init__(self, keyring: Keyring, failures: Failures, *, size: int = SIZE) -> None:
        self._keyring, self._failures, self._size = keyring, failures, size
        self._claims: OrderedDict[bytes, Claims] = OrderedDict()

    def known(self, token: bytes) -> Claims | None:
        """The claims of a token verified before."""
        claims = self._claims.get(token)
        if claims is not None:
            self._claims.move_to_end(token)
        return claims

    async def claims(self, token: bytes, address: str) -> Claims:
        """Verify `token`, once. An unknown key makes the key set be read again, at most each ten seconds."""
        self._failures.check(address)
        try:
            claims = await self._verify(token.decode("latin-1"))
        except Refusal as refusal:
            if refusal.status == 401:
                self._failures.count(address)
            raise
        self._claims[token] = claims
        if len(self._claims) > self._size:
            self._claims.popitem(last=False)
        return claims

    async def _verify(self, token: str) -> Claims:
        try:
            return gate.verify(token, self._keyring.keys)
        except Refusal as refusal:
            if refusal.code != "token-unknown-key":
                raise
        await self._keyring.refresh()
        if not self._keyring.keys:
            raise Refusal("keys-unavailable", retry_after_s=2)
        return gate.verify(token, self._keyring.keys)

    def forget(self) -> None:
        """Drop everything: a key is no longer trusted."""
        self._claims.clear()
