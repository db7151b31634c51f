"""Pages of the mail that lies in a folder, for whoever develops on this machine: the list, and one message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.control.mail.model import Mailbox
from shared.errors import NotFound
from shared.network import client_address, is_loopback

if TYPE_CHECKING:
    from gateway.web.pages import Pages

NOTHING_HERE = "There is no mail to show here."
#: A message is shown as mail programs show it: its own styles and links into new windows, no script, no form, no frame.
MESSAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
#: Links of a message lead out of its frame.
OUTWARD = '<base target="_blank">'


def routes(pages: Pages) -> list[BaseRoute]:
    """The list, one message, and its HTML as its frame fetches it."""

    async def listed(request: Request[Any]) -> Response:
        return await pages.render(request, "mailbox", heads=await _mailbox(request).heads(), opened=None)

    async def opened(request: Request[Any]) -> Response:
        found = await _mailbox(request).open(request.path_params["id"])
        return await pages.render(request, "mailbox", framed=True, heads=[], opened=found)

    async def message(request: Request[Any]) -> Response:
        found = await _mailbox(request).open(request.path_params["id"])
        headers = {
            "Content-Security-Policy": MESSAGE_POLICY,
            "X-Frame-Options": "SAMEORIGIN",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }
        return Response(OUTWARD + found.html, headers=headers, media_type="text/html")

    return [
        Route("/dev/mail", pages.page(listed), name="mailbox"),
        Route("/dev/mail/{id}", pages.page(opened), name="mailbox-opened"),
        Route("/dev/mail/{id}/html", pages.page(message), name="mailbox-message"),
    ]


def _mailbox(request: Request[Any]) -> Mailbox:
    """The folder, for a browser of this machine that asked for this machine by its name. Raises NotFound."""
    mailbox: Mailbox | None = request.state["mail_desk"].mailbox
    address = client_address(request.scope, request.state["trusted_proxies"])
    if mailbox is None or not is_loopback(address) or not is_loopback(request.url.hostname or ""):
        raise NotFound(NOTHING_HERE)
    return mailbox
