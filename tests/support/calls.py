"""Calls of the API, as all people of the tests make them."""

from __future__ import annotations

from typing import Any

import httpx2

from shared.ids import new_id


async def call(
    http: httpx2.AsyncClient, method: str, path: str, status: int = 200, *, body: Any = None, key: str = ""
) -> Any:
    """One call of /v1, under a key of its own unless one is given; asserts the status, gives the decoded answer."""
    answer = await http.request(method, f"/v1/{path}", json=body, headers={"Idempotency-Key": key or new_id("key")})
    assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
    return answer.json() if answer.content else None
