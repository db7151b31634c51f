"""The playback token: its claims, and minting. Verifying is the edge's (`gateway/edge/gate.py`).

One JWT, ES256, carried as a path prefix `/t/<token>/v/<title>/...` because players keep a path and drop queries.
Container claims follow RFC 9246 (`cdniv`, `cdniuc`).
"""

from __future__ import annotations

import jwt
import msgspec

from shared.keys import SigningKey

#: Longest token an edge reads.
MAX_TOKEN_LENGTH = 1024
#: Seconds in which the first admission of a session must happen; other values 60-900 are allowed.
START_WINDOW_S = 300
#: A started session may take a seat again until this long after minting, unless the right ends before.
HARD_END_S = 6 * 3600
#: Issuer and audience.
ISSUER, AUDIENCE = "usher", "edge"


class Claims(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a token says. Times are seconds since 1970.

    `sid` session · `sub` pseudonym of who watches · `scope` path prefix `v/<title>/` · `hmx` hard end ·
    `cap` screens · `q` ceiling height (0: no ceiling) · `m` metering · `w` watermark id · `d` device id ·
    `b` binding of device and place: off, soft or hard.
    """

    iss: str
    aud: str
    iat: int
    exp: int
    jti: str
    sid: str
    sub: str
    scope: str
    cdniv: int
    cdniuc: str
    hmx: int
    cap: int = 2
    q: int = 0
    m: str = ""
    w: str = ""
    d: str = ""
    b: str = "off"


def container(scope: str) -> str:
    """The RFC 9246 URI container of a scope: one fixed template, compared as text, never run as a regex."""
    return f"regex:^https?://[^/]+/(t/[^/]+/)?{scope}.*$"


def mint(claims: Claims, key: SigningKey) -> str:
    """Sign `claims`; the result is shorter than MAX_TOKEN_LENGTH."""
    return jwt.encode(msgspec.to_builtins(claims), key.private, algorithm=key.alg, headers={"kid": key.kid})


def playback_url(edge_origin: str, token: str, path: str) -> str:
    """The address a player gets: `https://edge/t/<token>/<bucket key>`."""
    return f"{edge_origin.rstrip('/')}/t/{token}/{path}"
