"""Asking Stripe by its SDK: within a deadline, once per idempotency key, page by page; its errors as ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from time import monotonic
from typing import Any, TypeVar, cast

import aiohttp
import stripe

from gateway.control.payments.providers.stripe_values import NAME, error_of, is_kept_failure
from shared import log
from shared.errors import Invalid, ProviderUnavailable, UsherError
from shared.metrics import PROVIDER_FAILURES
from shared.secrets import STRIPE_KEY, Secrets

#: One request, and all tries of one call together. The SDK tries again once, with the same idempotency key.
REQUEST_S, CALL_S = 8.0, 15.0
RETRIES = 1
#: After so many calls in a row that got no answer in time, nobody waits for AWAY_S: a turn of the worker with a hundred
#: payments, or a crowd of buyers, is told at once what the calls before it found.
SILENT, AWAY_S = 2, 10.0
#: Keys for one thing, used one after another where Stripe kept a failure with the one before.
TRIES = 3

Found = TypeVar("Found", bound=stripe.StripeObject)


class Client:
    """A client of the key as it is now. `address`: of another Stripe than the real one."""

    def __init__(self, secrets: Secrets, *, address: str = "") -> None:
        self._secrets, self._address = secrets, address
        self._http = stripe.AIOHTTPClient(timeout=aiohttp.ClientTimeout(total=REQUEST_S))
        self._key = secrets.read(STRIPE_KEY).decode()
        self._made = self._make(self._key)
        self._unanswered, self._away_until = 0, 0.0

    async def close(self) -> None:
        """Close its connections."""
        await self._http.close_async()  # type: ignore[no-untyped-call]

    async def pages(
        self,
        ask: Callable[[stripe.StripeClient, Any], Awaitable[Any]],
        about: Mapping[str, Any],
        paths: Sequence[str] = (),
    ) -> AsyncIterator[stripe.StripeObject]:
        """All of a list, the newest first, with what lies at `paths`."""
        page = {**about, **({"expand": list(paths)} if paths else {})}
        while True:
            found = await self.ask(lambda client, page=page: ask(client, page))  # type: ignore[misc]
            for one in found.data:
                yield one
            if not found.has_more:
                return
            page = {**page, "starting_after": found.data[-1].id}

    async def once(
        self,
        key: str,
        send: Callable[[stripe.StripeClient, str], Awaitable[Found]],
        *,
        done: Callable[[], Awaitable[Found | None]] | None = None,
    ) -> Found:
        """Send with an idempotency key.

        Stripe keeps a failure of its own with the key for a day. Then the thing is asked for under another key, unless
        `done` finds that it happened after all.
        """
        for own in (key, *(f"{key}:{n}" for n in range(2, TRIES + 1))):
            try:
                return await self.ask(lambda client, own=own: send(client, own))  # type: ignore[misc]
            except KeptFailure:
                if done is not None and (found := await done()) is not None:
                    return found
        raise ProviderUnavailable()

    async def ask(self, ask: Callable[[stripe.StripeClient], Awaitable[Found]]) -> Found:
        """Ask Stripe, within a deadline. fails="closed", counted: without an answer nothing is taken for done."""
        if monotonic() < self._away_until:
            raise ProviderUnavailable()
        try:
            async with asyncio.timeout(CALL_S):
                found = await ask(self._client())
        except stripe.StripeError as error:
            self._unanswered = 0
            raise self._failed(error) from error
        except (TimeoutError, aiohttp.ClientError) as error:  # the SDK reads bodies outside what it translates
            PROVIDER_FAILURES.labels(NAME).inc()
            self._unanswered += isinstance(error, TimeoutError)
            if self._unanswered >= SILENT:
                self._unanswered, self._away_until = 0, monotonic() + AWAY_S
            raise ProviderUnavailable() from error
        self._unanswered = 0
        return found

    def _failed(self, error: stripe.StripeError) -> UsherError:
        found = error_of(error)
        if isinstance(found, ProviderUnavailable | Invalid):
            PROVIDER_FAILURES.labels(NAME).inc()
            log.get("payments").warning("provider failed", provider=NAME, status=error.http_status, code=error.code)
        return KeptFailure() if is_kept_failure(error) else found

    def _client(self) -> stripe.StripeClient:
        """The client of the key as it is now: a key that is changed is used from the next call on."""
        key = self._secrets.read(STRIPE_KEY).decode()
        if key != self._key:
            self._key, self._made = key, self._make(key)
        return self._made

    def _make(self, key: str) -> stripe.StripeClient:
        addresses: dict[str, str] = {"api": self._address} if self._address else {}
        return stripe.StripeClient(
            key, base_addresses=cast(Any, addresses), http_client=self._http, max_network_retries=RETRIES
        )


class KeptFailure(ProviderUnavailable):
    """The provider failed, and keeps that as its answer to this idempotency key."""
