"""Tokens that passed the gate, remembered; tokens that did not, limited."""

from __future__ import annotations

from collections import OrderedDict

from gateway.edge import gate
from gateway.edge.failures import Failures, sender_of
from gateway.edge.keyring import Keyring
from gateway.edge.refusals import Refusal
from gateway.edge.turns import Turns
from shared.tokens import Claims

SIZE = 65_536
#: New tokens that wait for their turn: of senders that did not fail lately, and of those that did.
WAITING, SUSPECTS_WAITING = 1024, 256
#: Checks at one turn of the loop: one by one they cost more, for each then wakes its client alone.
AT_ONCE = 8


class Verified:
    """Claims by token, for tokens already verified: a signature is checked once, then this is a dict lookup.

    An entry lives to its `hmx`, which `gate.permit` checks at each request, or until newer ones push it out.

    A check takes about 70 us, so there are few at each turn of the loop: new tokens wait in a short line, and requests
    with a known one, which never do, are held up by those few at most.

    A token has two spellings, for if (r, s) is an ECDSA signature, so is (r, n - s). Refusing one of them would refuse
    half of our own: those who sign draw either. It does no harm. The second spelling is another entry here, but says
    the same to the letter, and seat, pace and watch time hang on the `sid` in it, so both are one session. A third one
    would take the private key, or what `gate` refuses as not canonical: whoever has a token can make two entries of it.
    """

    def __init__(self, keyring: Keyring, failures: Failures, *, size: int = SIZE, at_once: int = AT_ONCE) -> None:
        self._keyring, self._failures, self._size = keyring, failures, size
        self._turns = Turns(WAITING, SUSPECTS_WAITING, at_once=at_once)
        self._claims: OrderedDict[bytes, Claims] = OrderedDict()

    def known(self, token: bytes) -> Claims | None:
        """The claims of a token verified before."""
        claims = self._claims.get(token)
        if claims is not None:
            self._claims.move_to_end(token)
        return claims

    async def claims(self, token: bytes, address: str) -> Claims:
        """Verify `token`, once. An unknown key makes the key set be read again, at most each ten seconds."""
        sender = sender_of(address)
        await self._turn(sender)
        claims = self.known(token)
        if claims is not None:
            return claims
        # What failed while it waited may have used up what its sender had left.
        self._failures.check(sender)
        try:
            claims = await self._verify(token.decode("latin-1"), sender)
        except Refusal as refusal:
            if refusal.status == 401:
                self._failures.count(sender)
                self._turns.to_second(sender)
            raise
        self._claims[token] = claims
        if len(self._claims) > self._size:
            self._claims.popitem(last=False)
        return claims

    async def _turn(self, sender: str) -> None:
        """Wait for a turn. Raises Refusal too-many."""
        await self._turns.mine(sender, is_second=self._failures.check(sender))

    async def _verify(self, token: str, sender: str) -> Claims:
        keys = self._keyring.keys
        try:
            return gate.verify(token, keys)
        except Refusal as refusal:
            if refusal.code != "token-unknown-key":
                raise
            unknown = refusal
        await self._keyring.refresh()
        if not self._keyring.keys:
            raise Refusal("keys-unavailable", retry_after_s=2)
        if self._keyring.keys is keys:
            raise unknown
        await self._turn(sender)
        return gate.verify(token, self._keyring.keys)

    def forget(self) -> None:
        """Drop everything: a key is no longer trusted."""
        self._claims.clear()
