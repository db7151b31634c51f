"""Errors as RFC 9457 problems: the one table from error class to HTTP status."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.responses import Response

from shared import errors

#: First match by class wins, so the more special stand first.
STATUS: tuple[tuple[type[errors.UsherError], int, str], ...] = (
    (errors.BadWebhook, 400, "The webhook is not right"),
    (errors.Invalid, 422, "The request is not right"),
    (errors.Unauthenticated, 401, "Log in first"),
    (errors.Declined, 402, "Declined"),
    (errors.Forbidden, 403, "Not allowed"),
    (errors.NotFound, 404, "Not found"),
    (errors.SeatsFull, 409, "All screens are in use"),
    (errors.Conflict, 409, "Not possible now"),
    (errors.Gone, 410, "Gone"),
    (errors.WrongVersion, 412, "Another version is spoken here"),
    (errors.TooLarge, 413, "Too large"),
    (errors.Unsupported, 415, "Not supported"),
    (errors.Locked, 423, "Busy"),
    (errors.TooMany, 429, "Too many requests"),
    (errors.ChecksumMismatch, 460, "Checksum mismatch"),
    (errors.MasterRejected, 422, "The file was refused"),
    (errors.Refused, 400, "Refused"),
    (errors.Retryable, 503, "Not available for a moment"),
    (errors.UsherError, 500, "Something went wrong"),
)


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An RFC 9457 problem. `code` is stable and for machines, `detail` is for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    details: dict[str, Any] = {}


def status_of(error: errors.UsherError) -> tuple[int, str]:
    """HTTP status and short title of an error."""
    return next((status, title) for kind, status, title in STATUS if isinstance(error, kind))


def problem_of(error: errors.UsherError) -> Problem:
    """The problem a client sees for an error."""
    status, title = status_of(error)
    return Problem(
        type=f"/docs/problems#{type(error).code}",
        title=title,
        status=status,
        detail=str(error),
        code=error.code,
        details=error.details,
    )


def problem_response(error: errors.UsherError, headers: dict[str, str] | None = None) -> Response:
    """An error as a response, with Retry-After where waiting helps."""
    problem = problem_of(error)
    headers = dict(headers or {})
    if isinstance(error, errors.TooMany):
        headers["Retry-After"] = str(error.retry_after_s)
    elif isinstance(error, errors.Retryable):
        headers["Retry-After"] = "2"
    if problem.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="usher"'
    headers["Cache-Control"] = "no-store"
    body = msgspec.json.encode(problem, enc_hook=str)
    return Response(body, problem.status, headers, media_type="application/problem+json")
