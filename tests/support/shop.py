"""A shop under test: a title on sale, viewers with money, a sandbox that is paid at by hand, and the worker's turns."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import httpx2

from gateway.control.checkout import actions as checkout
from gateway.control.ledger.model import Audit
from gateway.control.payments import actions as payments
from gateway.control.sandbox import actions as sandbox
from gateway.control.sandbox.model import NAME, Notice
from tests.support.control import Control, make_admin, register
from tests.support.ledger import Books
from tests.support.patience import until
from tests.support.providers import SandboxHands
from tests.support.titles import Desk, desk

#: Keys of requests, each another one.
_KEYS = itertools.count()


class Viewer:
    """Somebody with a browser."""

    def __init__(self, http: httpx2.AsyncClient, me: dict[str, Any]) -> None:
        self.http, self.id = http, str(me["id"])

    async def send(self, method: str, path: str, body: Any = None, *, key: str | None = None) -> httpx2.Response:
        """One call of /v1, with a key of its own if none is given; again while a crowd before it takes all there is."""
        headers = {"Idempotency-Key": key or f"key-{next(_KEYS)}"}

        async def answered() -> httpx2.Response | None:
            answer = await self.http.request(method, f"/v1/{path}", json=body, headers=headers)
            return answer if answer.status_code != 503 else None

        return await until(answered, within_s=60, what=f"{method} {path} answered")

    async def ask(self, method: str, path: str, status: int = 200, body: Any = None) -> Any:
        """The decoded answer of one call whose status is this."""
        answer = await self.send(method, path, body)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None


class Shop:
    """A title at 5.00 USD of the seller `studio`, and what people do with it."""

    def __init__(self, control: Control, seller: Desk, title: str, offer: dict[str, Any]) -> None:
        self.control, self.seller, self.title, self.offer = control, seller, title, offer
        self.books = Books(control.wiring["pool"])
        self.hands = SandboxHands(control)
        self.wired = control.wiring["shop"]
        self.owner = Viewer(seller.http, seller.me)

    async def viewer(self, name: str = "vera", *, funds: int = 0, role: str = "") -> Viewer:
        """A new account with money on its wallet, or a role."""
        http = self.control.browser(f"10.2.{sum(name.encode()) % 250}.{len(name)}")
        made = Viewer(http, await register(http, name))
        if funds:
            await self.books.fund(funds, f"wallet__{made.id}")
        if role:
            await make_admin(self.control, made.id, role)
        return made

    def order(self, **about: Any) -> dict[str, Any]:
        """Buys the title's offer."""
        return {"offer": self.offer["id"], "version": self.offer["version"], **about}

    async def buy(self, viewer: Viewer, *, key: str | None = None, **about: Any) -> httpx2.Response:
        """One click."""
        return await viewer.send("POST", f"titles/{self.title}/checkout", self.order(**about), key=key)

    async def bought(self, viewer: Viewer, **about: Any) -> dict[str, Any]:
        """A purchase that went through, as it is answered."""
        answer = await self.buy(viewer, **about)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    async def by_card(self, viewer: Viewer, card: str = "approve", **about: Any) -> dict[str, Any]:
        """A purchase at the sandbox, paid by a test card, and all that it tells heard."""
        purchase = await self.bought(viewer, pay=NAME, **about)
        await self.hands.pay(ref_of(purchase), card)
        await self.hear()
        return dict(await viewer.ask("GET", f"payments/{purchase['id']}"))

    async def offers(self, **about: Any) -> dict[str, Any]:
        """One more offer of the title."""
        return dict(await self.owner.ask("POST", f"titles/{self.title}/offers", 201, about))

    async def hear(self) -> None:
        """Send what the sandbox has to tell, each twice, and handle all of it."""
        wiring = self.control.wiring
        provider = self.hands.provider

        async def send(notice: Notice) -> None:
            for _ in range(2):
                headers, body = provider.webhook(notice)
                await payments.receive(provider, headers, body, begin=wiring["begin"], clock=self.control.clock)

        while await sandbox.deliver(send, begin=wiring["begin"], clock=self.control.clock):
            pass
        settle = [checkout.booking(self.wired)]
        while await payments.handle(
            wiring["providers"], begin=wiring["begin"], clock=self.control.clock, settle=settle
        ):
            pass

    async def amounts(self, *accounts: str) -> list[int]:
        """Balances in USD."""
        return [(await self.books.balance(code)).balance for code in accounts]

    async def rights(self, viewer: Viewer) -> list[str]:
        """The terms of the rights that were not taken back."""
        rows = await self.control.rows(
            "select term from entitlement where principal = $1 and revoked_at is null order by term", viewer.id
        )
        return [row["term"] for row in rows]

    async def may_watch(self, viewer: Viewer) -> bool:
        """Whether a link is given."""
        answer = await viewer.http.post(f"/v1/titles/{self.title}/play", json={})
        assert answer.status_code in (200, 201, 403), answer.text
        return answer.status_code != 403

    async def pushes(self) -> list[str]:
        """Whom edges were told to end."""
        rows = await self.control.rows("select type, subject from outbox where topic = 'push' order by seq")
        return [f"{row['type']} {row['subject']}" for row in rows]

    async def audit(self) -> Audit:
        """The ledger derived anew: nothing differs."""
        found = await self.books.audit()
        assert found.differences == []
        return found


def ref_of(purchase: dict[str, Any]) -> str:
    """The sandbox's name of a payment, from the address of its pay page."""
    return str(purchase["url"]).rsplit("/", 1)[-1]


async def open_shop(
    control: Control, *, price: int = 500, partners: Sequence[tuple[str, int]] = (), **about: Any
) -> Shop:
    """A published title at a price, and its offer to own it."""
    seller = await desk(control)
    title = await seller.published(price_minor=price, **about)
    found = (await seller.ask("GET", f"titles/{title['id']}/offers"))["items"]
    shop = Shop(control, seller, title["id"], found[0])
    if partners:
        items = [{"seller": (await desk(control, name)).seller["handle"], "share_bp": bp} for name, bp in partners]
        await seller.ask("PUT", f"titles/{title['id']}/partners", body={"items": items})
    return shop
