"""A route of the API: what it takes, gives, costs and who may call it, on one line; decode → action → encode.

A feature's `routes.py` holds handlers and a list `ROUTES`; `app.py` mounts the lists and `openapi.py` documents them.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import UTC, date, datetime
from email.utils import format_datetime
from types import NoneType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_args, get_type_hints

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from gateway.control import auth
from gateway.control.accounts.model import DEVICE_COOKIE, Browser, browser
from gateway.control.idempotency import actions as idempotency
from gateway.control.idempotency.model import HEADER, REPLAYED, Answer, Attempt, hash_of, key_of
from gateway.control.idempotency.seal import Seal
from gateway.control.limits import Limit
from gateway.control.problems import problem_response
from shared import log
from shared.errors import Forbidden, Invalid, NotFound, TooLarge, Unauthenticated, Unsupported, UsherError
from shared.ids import new_id
from shared.metrics import ERRORS, HTTP_SECONDS
from shared.network import client_address, place_of

if TYPE_CHECKING:  # wiring imports the stores of features whose routes import this module
    from gateway.control.outbox import Outbox
    from gateway.control.wiring import Unit, Wiring

Body = TypeVar("Body")
#: What Postgres cannot hold: a zero byte, and halves of characters.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
#: What the record says of an answer: no name, no code that is worth something.
SAID = ("kind", "state", "title", "amount", "currency", "rail")
#: JSON bodies larger than this are refused before they are read.
MAX_BODY_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Call(Generic[Body]):
    """One request as a handler sees it. `caller` is None where nobody is logged in and the route allows that.

    `effect` is that of an idempotent route.
    """

    request: Request[Wiring]
    body: Body
    caller: auth.Principal | None
    address: str
    effect: idempotency.Effect[Unit] | None = None

    @property
    def wiring(self) -> Wiring:
        """What the lifespan built."""
        return self.request.state

    @property
    def principal(self) -> auth.Principal:
        """Who is logged in. Raises Unauthenticated for nobody and for guests."""
        if self.caller is None or self.caller.kind == "guest":
            raise Unauthenticated("Log in first.")
        return self.caller

    @property
    def viewer(self) -> auth.Principal:
        """Who watches: logged in, or a guest. Raises Unauthenticated for nobody."""
        if self.caller is None:
            raise Unauthenticated("Log in first.")
        return self.caller

    @property
    def key(self) -> str:
        """The sender's idempotency key, of this principal alone: what the request books is booked under it."""
        return f"{self.viewer.id}:{key_of(self.request.headers.get(HEADER))}"

    async def unit(self) -> Unit:
        """The transaction of an idempotent route: committed with the kept answer, after the handler returned."""
        if self.effect is None:
            raise TypeError("only an idempotent route has a transaction of its own")
        return await self.effect.unit()

    @property
    def place(self) -> str:
        """The network prefix the request came from (/24 or /48), never the whole address."""
        return place_of(self.address)

    def browser(self) -> Browser:
        """The browser the request came from; one without an id of its own gets a new one with every call."""
        request = self.request
        return browser(request.cookies.get(DEVICE_COOKIE, ""), request.headers.get("user-agent", ""), self.place)

    def path(self, name: str) -> str:
        """A path parameter. Raises NotFound for one with a character that no text of ours can hold."""
        found = str(self.request.path_params[name])
        if _UNSTORABLE.search(found):
            raise NotFound("There is nothing here: the address has a character in it that no name has.")
        return found

    def query(self, name: str, default: str = "") -> str:
        """A query parameter."""
        return self.request.query_params.get(name, default)


Handler = Callable[[Call[Any]], Awaitable[Any]]


@dataclass(frozen=True)
class Route:
    """One documented endpoint; what it takes and gives is said by its handler's signature.

    `returns` is said beside it only where the handler makes the response itself, `problems` only those that do not
    follow from the rest (`openapi.implied`). `stream` routes read and answer raw bytes themselves.

    `idempotent` ones need an Idempotency-Key and act in `call.unit()`: the same request again gets the kept answer,
    another one with the key 422, one that comes while the first is not answered 409.
    """

    method: str
    path: str
    handler: Handler
    _: KW_ONLY
    limit: Limit
    #: The body's type, None where the handler takes none.
    body: Any = field(init=False)
    returns: Any = None
    status: int = 200
    login: bool = True
    stream: bool = False
    idempotent: bool = False
    tag: str = ""
    query: dict[str, str] = field(default_factory=dict)
    problems: Sequence[int] = ()
    max_body_bytes: int = MAX_BODY_BYTES
    deprecated: date | None = None
    sunset: date | None = None

    def __post_init__(self) -> None:
        takes, gives = _signature(self.handler)
        object.__setattr__(self, "body", takes)
        object.__setattr__(self, "returns", self.returns or gives)

    @property
    def name(self) -> str:
        """The operation id: the handler's name."""
        return getattr(self.handler, "__name__", "handler")

    @property
    def summary(self) -> str:
        """First line of the handler's docstring."""
        return (self.handler.__doc__ or self.name).strip().splitlines()[0]

    def starlette(self) -> StarletteRoute:
        """The route as Starlette mounts it."""
        return StarletteRoute(self.path, self._endpoint, methods=[self.method], name=self.name)

    async def _endpoint(self, request: Request[Wiring]) -> Response:
        started = time.perf_counter()
        headers: dict[str, str] = self._life()
        try:
            response = await self._answer(request, headers)
        except UsherError as error:
            response = problem_response(error, headers)
        except ClientDisconnect:
            response = Response(status_code=499)
        except Exception as error:  # the outermost loop: logged, counted, never shown
            ERRORS.labels("control").inc()
            log.get("control").error("unexpected", route=self.name, exc_info=error)
            response = problem_response(UsherError("Something went wrong here; it has been logged."), headers)
        HTTP_SECONDS.labels(self.name, f"{response.status_code // 100}xx").observe(time.perf_counter() - started)
        return response

    async def _answer(self, request: Request[Wiring], headers: dict[str, str]) -> Response:
        wiring = request.state
        address = client_address(request.scope, wiring["trusted_proxies"])
        caller = await self._caller(request)
        taken = await wiring["limits"].take(
            self.name,
            self.limit,
            address=address,
            principal=caller.id if caller else "",
            roles=[held.role for held in caller.assignments] if caller else [],
        )
        headers.update(taken.headers)
        if taken.refusal:
            raise taken.refusal
        if self.login and (caller is None or caller.kind == "guest"):
            raise Unauthenticated("Log in first.")
        body = None if self.stream or self.body is None else await self._decode(request)
        if caller is not None and self.method not in SAFE:
            caller = msgspec.structs.replace(caller, place=place_of(address))
        call = Call(request, body, caller, address)
        if self.idempotent:
            return await self._once(call, headers)
        return self._encode(await self.handler(call), headers)

    async def _once(self, call: Call[Any], headers: dict[str, str]) -> Response:
        """Handle the request unless it was, and keep the answer in the transaction in which it has its effect."""
        begin, asked, seal = call.wiring["begin"], call.request.url, Seal(call.wiring["secrets"])
        attempt = Attempt(
            principal=call.viewer.id,
            key=key_of(call.request.headers.get(HEADER)),
            route=self.name,
            hash=hash_of(asked.path, asked.query, call.body),
            attempt=new_id("att"),
        )
        kept = await idempotency.start(attempt, begin=begin, clock=call.wiring["clock"])
        if kept is not None:
            kept = seal.open(kept, attempt)
            again = {**headers, "Cache-Control": "no-store", REPLAYED: "true"}
            return Response(kept.body, kept.status, again, media_type=kept.media_type)
        async with idempotency.effect(attempt, begin=begin) as effect:
            result = await self.handler(replace(call, effect=effect))
            await self._record(call.viewer, result, (await effect.unit()).outbox)
            response = self._encode(result, headers)
            answer = Answer(response.status_code, response.media_type, bytes(response.body))
            await effect.keep(seal.close(answer, attempt))
        return response

    async def _record(self, by: auth.Principal, result: Any, outbox: Outbox) -> None:
        """What writes value is on record, also where its action has nothing more to say of it than its answer has."""
        if outbox.is_recorded:
            return
        said = {name: getattr(result, name) for name in SAID if hasattr(result, name)}
        object = str(getattr(result, "id", None) or getattr(result, "txn", None) or by.id)
        await outbox.record(by.id, f"value:{self.name}", object, after=said, place=by.place)

    async def _caller(self, request: Request[Wiring]) -> auth.Principal | None:
        credential = auth.credential(request)
        by_browser = credential is not None and credential.by_cookie and self.method not in SAFE
        if by_browser and not auth.same_origin(request, request.state["settings"].public_origin):
            raise Forbidden("This request came from another site.", code="cross-site")
        return await request.state["finder"].find(credential.signed) if credential else None

    async def _decode(self, request: Request[Wiring]) -> Any:
        """The body as `self.body`; no body at all counts as an empty object."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        data = bytearray()
        async for piece in request.stream():
            if kind != "application/json" and piece:
                raise Unsupported("Send JSON, with Content-Type: application/json.")
            data += piece
            if len(data) > self.max_body_bytes:
                raise TooLarge(f"The body is larger than {self.max_body_bytes} bytes.")
        try:
            return msgspec.json.decode(data or b"{}", type=self.body)
        except msgspec.DecodeError as error:
            raise Invalid(f"{error}.".replace("..", ".")) from error

    def _encode(self, result: Any, headers: dict[str, str]) -> Response:
        if isinstance(result, Response):
            for name, value in headers.items():
                result.headers.setdefault(name, value)
            return result
        headers.setdefault("Cache-Control", "no-store")
        if result is None:
            return Response(status_code=204 if self.status == 200 else self.status, headers=headers)
        return Response(msgspec.json.encode(result), self.status, headers, media_type="application/json")

    def _life(self) -> dict[str, str]:
        """Deprecation (RFC 9745) and Sunset (RFC 8594) headers of a route on its way out."""
        headers = {}
        if self.deprecated:
            headers["Deprecation"] = f"@{int(datetime(*self.deprecated.timetuple()[:3], tzinfo=UTC).timestamp())}"
        if self.sunset:
            headers["Sunset"] = format_datetime(datetime(*self.sunset.timetuple()[:3], tzinfo=UTC), usegmt=True)
        return headers


def _signature(handler: Handler) -> tuple[Any, Any]:
    """What a handler takes as the body, and what it gives: None where that is nothing, or a response as a whole."""
    hints = get_type_hints(handler)
    gives = hints.pop("return", NoneType)
    takes = next((of for hint in hints.values() for of in get_args(hint)), NoneType)
    whole = gives is NoneType or (isinstance(gives, type) and issubclass(gives, Response))
    return (None if takes is NoneType else takes), (None if whole else gives)
