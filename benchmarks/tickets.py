"""Playback tokens for benches, signed offline with the keys of the stage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from shared import keys, tokens
from shared.ids import new_secret
from shared.secrets import PLAYBACK_KEYS


class Mint:
    """Draws sessions for one title, each of a viewer of its own."""

    def __init__(self, secrets: Path, title: str, *, now: float) -> None:
        self._key_set = keys.parse_key_set((secrets / PLAYBACK_KEYS).read_bytes())
        self._signer = keys.signing_key(self._key_set)
        self._title, self._now = title, now

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys, as the edge reads them."""
        return keys.jwks(self._key_set)

    def draw(self, number: int, *, cap: int = 2) -> list[str]:
        """Tokens of `number` sessions, each alone on its viewer's screens."""
        return [self.token(sid=new_secret(12), sub=new_secret(12), cap=cap) for _ in range(number)]

    def token(self, *, sid: str, sub: str, cap: int = 2) -> str:
        """The token of one session."""
        scope = f"v/{self._title}/"
        claims = tokens.Claims(
            iss=tokens.ISSUER,
            aud=tokens.AUDIENCE,
            iat=int(self._now),
            exp=int(self._now) + 900,
            jti=new_secret(6),
            sid=sid,
            sub=sub,
            scope=scope,
            cdniv=1,
            cdniuc=tokens.container(scope),
            hmx=int(self._now) + tokens.HARD_END_S,
            cap=cap,
        )
        return tokens.mint(claims, self._signer)


def round_robin(tokens_: list[str], keys_: list[str], *, passes: int) -> Iterator[str]:
    """Paths in which each token fetches another key with each pass."""
    for turn in range(passes):
        for place, token in enumerate(tokens_):
            yield f"/t/{token}/{keys_[(place + turn) % len(keys_)]}"
