"""A company under test: a seller's people and titles, viewers, another seller, staff, and whoever is logged out."""

from __future__ import annotations

import itertools
from typing import Any

import httpx2

from gateway.control.accounts import actions as people
from gateway.control.auth import SESSION_COOKIE
from shared.storage import names
from tests.support.control import PASSWORD, Control, make_admin
from tests.support.shop import Shop, Viewer, open_shop, ref_of
from tests.support.titles import desk
from tests.support.tus import TUS, metadata

#: By a letter: who asks. All things asked about are of the seller of u, e and o, or of the viewer b.
ROLES = {
    "a": "anonymous",
    "g": "guest",
    "v": "viewer",
    "b": "buyer",
    "r": "rival",
    "t": "territorial",
    "u": "uploader",
    "e": "editor",
    "o": "owner",
    "s": "support",
    "d": "auditor",
    "m": "moderator",
    "x": "admin",
}
_NUMBERS = itertools.count(1)


class Company:
    """Who may ask, by letter, and what there is to be asked about, by the name of a path parameter."""

    def __init__(self, control: Control, shop: Shop) -> None:
        self.control, self.shop = control, shop
        #: Sessions; nobody has one who is not named.
        self.sessions: dict[str, str] = {}
        self.people: dict[str, Viewer] = {"o": shop.owner}
        self.at: dict[str, str] = {}
        #: Texts that stand in no answer but to these.
        self.secrets: dict[str, str] = {}

    async def ask(
        self, letter: str, method: str, path: str, *, body: Any = None, send: bytes = b"", headers: dict[str, str]
    ) -> httpx2.Response:
        """One request, under a key of its own; whatever cookies it is answered are dropped."""
        headers = {"Idempotency-Key": f"matrix-{next(_NUMBERS)}", **headers}
        if letter in self.sessions:
            headers["Authorization"] = f"Bearer {self.sessions[letter]}"
        more: dict[str, Any] = {"content": send} if send else {"json": body} if body is not None else {}
        return await self.control.browser("10.3.0.3").request(method, path, headers=headers, **more)

    async def recorded(self) -> int:
        """How many entries the audit trail has."""
        rows = await self.control.rows("select count(*) as entries from audit")
        return int(rows[0]["entries"])


async def company(control: Control) -> Company:
    """All of them, with a purchase, a withdrawal, an upload, offers, a coupon and a refund to ask about."""
    made = Company(control, await open_shop(control))
    await _viewers(made)
    await _members(made)
    await _staff(made)
    await _titles(made)
    await _money(made)
    await _rest(made)
    return made


async def _viewers(made: Company) -> None:
    made.people |= {letter: await made.shop.viewer(ROLES[letter], funds=50_000) for letter in "vbt"}
    async with made.control.wiring["begin"]() as unit:
        territorial = made.people["t"].id
        await people.assign(territorial, "admin", "territory:de", accounts=unit.accounts, outbox=unit.outbox)
    await made.shop.viewer("extra")
    rival = await desk(made.control, ROLES["r"])
    made.people["r"] = Viewer(rival.http, rival.me)
    guest = made.control.browser("10.3.0.1")
    free = await rival.published(name="Free for all")
    assert (await guest.post(f"/v1/titles/{free['id']}/play", json={})).status_code == 200
    made.sessions["g"] = guest.cookies[SESSION_COOKIE]
    made.at |= {"username": "extra", "handle": made.shop.seller.seller["handle"], "role": "support"}


async def _members(made: Company) -> None:
    for letter in "ue":
        member = made.people[letter] = await made.shop.viewer(ROLES[letter], funds=50_000)
        path = f"sellers/{made.at['handle']}/members/{ROLES[letter]}"
        await made.shop.owner.ask("PUT", path, 204, {"role": ROLES[letter]})
        assert member.id


async def _staff(made: Company) -> None:
    for letter in "sdmx":
        made.people[letter] = await made.shop.viewer(ROLES[letter], funds=50_000)
        await make_admin(made.control, made.people[letter].id, ROLES[letter])
    made.sessions |= {letter: one.http.cookies[SESSION_COOKIE] for letter, one in made.people.items()}


async def _titles(made: Company) -> None:
    seller, bucket = made.shop.seller, made.control.wiring["bucket"]
    made.at["title"] = made.shop.title
    await bucket.put(names.poster(made.shop.title, "v1"), b"jpeg")
    made.at["draft"] = (await seller.ready(name="Untold"))["id"]
    made.at["spare"] = (await seller.ready(name="Spare"))["id"]
    made.at["harmful"] = (await seller.published(name="Harmful"))["id"]
    jobs = (await seller.ask("GET", f"titles/{made.shop.title}/jobs"))["items"]
    made.at["job"] = jobs[0]["id"]
    about = {"Upload-Length": "100", "Upload-Metadata": metadata(title=made.shop.title, filename="m.mp4")}
    begun = await made.shop.owner.http.post("/v1/uploads", headers={**TUS, **about})
    assert begun.status_code == 201, begun.text
    made.at |= {"upload": begun.headers["location"].rsplit("/", 1)[-1], "metadata": about["Upload-Metadata"]}


async def _money(made: Company) -> None:
    shop, owner, seller = made.shop, made.shop.owner, made.shop.seller.seller["id"]
    purchase = await shop.bought(made.people["b"])
    waits = await shop.bought(made.people["v"], pay="sandbox")
    made.at |= {"own": shop.offer["id"], "purchase": purchase["id"], "payment": purchase["id"], "ref": ref_of(waits)}
    made.at |= {"offer": (await shop.offers(kind="rent", hours=24, amount=300))["id"]}
    coupon = {"code": "SPARE", "percent": 10}
    await owner.ask("POST", f"sellers/{made.at['handle']}/coupons", 201, coupon)
    await shop.books.fund(100_000, f"earnings__{seller}")
    order = {"amount": 5000, "currency": "USD"}
    withdrawal = await owner.ask("POST", f"sellers/{made.at['handle']}/withdrawals", 201, order)
    made.at |= {"withdrawal": withdrawal["id"], "code": "SPARE", "refund": "ref_" + "0" * 32}
    made.secrets = {made.at["draft"]: "ueosdmx", "Untold": "ueosdmx"}
    made.secrets |= {purchase["id"]: "bsdx", "buyer@example.org": "bsdmx"}


async def _rest(made: Company) -> None:
    buyer = made.people["b"].http
    phone = {"login": ROLES["b"], "password": PASSWORD, "bearer": True}
    bearer = (await made.control.browser().post("/v1/auth/login", json=phone)).json()["bearer_token"]
    here = {"Authorization": f"Bearer {bearer}"}
    found = (await made.control.browser().get("/v1/me/devices", headers=here)).json()["items"]
    played = await buyer.post(f"/v1/titles/{made.shop.title}/play", json={})
    assert played.status_code == 200, played.text
    made.at |= {"device": next(one["id"] for one in found if one["current"]), "session": played.json()["sid"]}
    webhook = {"url": "https://example.com/0", "seller": made.at["handle"]}
    endpoint = await made.shop.owner.ask("POST", "webhook-endpoints", 201, webhook)
    made.at |= {"endpoint": endpoint["id"], "delivery": "msg_1", "run": "run_1", "report": "rec_1"}
    made.at |= {"language": "en", "worker": "w1", "name": "fraud.enforce", "provider": "sandbox", "month": "2026-10"}
