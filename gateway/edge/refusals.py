"""Every way the edge says no: code, HTTP status and the words a person reads, in one table."""

from __future__ import annotations

from typing import Final

import msgspec

from shared.errors import Refused

#: code → (status, title). The error table of playback; a code not listed here cannot be raised.
TABLE: Final[dict[str, tuple[int, str]]] = {
    "path-malformed": (400, "This address is not a valid one"),
    "carriers-differ": (400, "Two different tokens came with one request"),
    "token-missing": (401, "No token came with this request"),
    "token-malformed": (401, "This token is malformed"),
    "token-unknown-key": (401, "This token was signed by an unknown key"),
    "token-forged": (401, "This token is not genuine"),
    "token-claims": (401, "This token does not say what it must"),
    "start-window-over": (401, "This link was not started in time"),
    "credit": (402, "There is no credit left"),
    "scope": (403, "This link does not open that title"),
    "ceiling": (403, "This quality is not part of the right"),
    "binding": (403, "This link belongs to another device or place"),
    "not-found": (404, "Not found"),
    "method": (405, "This method is not allowed here"),
    "seats-full": (409, "All screens are in use"),
    "over": (410, "This link has ended"),
    "taken-over": (410, "Playback moved to another screen"),
    "stopped": (410, "Playback was stopped from another screen"),
    "revoked": (410, "This link was withdrawn"),
    "shared": (410, "This link was used in too many places"),
    "not-made": (410, "This title could not be made"),
    "range": (416, "There are no such bytes"),
    "too-fast": (429, "Segments are asked for too fast"),
    "too-many": (429, "Too many wrong tokens"),
    "keys-unavailable": (503, "The keys are not known yet"),
    "seats-unavailable": (503, "Screens cannot be counted for a moment"),
    "being-made": (503, "This part is still being made"),
    "store-unavailable": (503, "The store does not answer for a moment"),
    "unexpected": (500, "Something went wrong"),
}


class Refusal(Refused):
    """The edge does not serve this request; `code` is one of TABLE."""

    def __init__(self, code: str, words: str = "", /, *, retry_after_s: int = 0, **details: object) -> None:
        self.status, self.title = TABLE[code]
        super().__init__(words or f"{self.title}.", code=code, **details)
        self.retry_after_s = retry_after_s


def problem(refusal: Refusal) -> bytes:
    """The RFC 9457 body: type, title, status, detail, code, and the refusal's own members beside them."""
    return msgspec.json.encode(
        {
            "type": f"urn:usher:problem:{refusal.code}",
            "title": refusal.title,
            "status": refusal.status,
            "detail": str(refusal),
            "code": refusal.code,
            **refusal.details,
        }
    )
