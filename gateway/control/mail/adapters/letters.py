"""Letters: templates with their values as text and as HTML, and a letter as a message (RFC 5322)."""

from __future__ import annotations

from collections.abc import Mapping
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from gateway.control.mail.model import Kind, Letter, Text, subject_of
from shared.errors import Refused

FOLDER = Path(__file__).parent.parent / "templates"
#: The ways money comes and goes by, as people call them.
RAILS = {"wallet": "Wallet", "bank": "Bank transfer", "stripe": "Stripe", "sandbox": "Sandbox"}


class Letters:
    """Writes letters. In HTML everything is escaped; a value that is missing is an error, not a blank."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=select_autoescape(("html",)),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self._templates.filters["line"] = lambda value: " ".join(str(value).split())
        self._templates.filters["rail"] = lambda rail: RAILS.get(rail, rail)

    def write(self, kind: Kind, values: Mapping[str, Any]) -> Text:
        """The letter of a kind. Raises KeyError or UndefinedError for a value that is missing."""
        subject = subject_of(kind, values)
        given = {**values, "subject": subject}
        text = self._templates.get_template(f"{kind}.txt").render(given)
        return Text(subject, text, self._templates.get_template(f"{kind}.html").render(given))


def message_of(letter: Letter, *, sender: str, cte: str | None = None) -> EmailMessage:
    """A letter as a message of both parts. Raises Refused for an address that no mail goes to.

    Headers are values of the email package, which refuses a line break in any of them. `cte`: how the parts are
    encoded; as it suits them where it is not given.
    """
    message = EmailMessage()
    try:
        message["From"], message["To"] = address_of(sender), address_of(letter.to)
        message["Subject"] = letter.body.subject
        message["Date"] = format_datetime(letter.at)
        message["Message-ID"] = f"<{letter.id}@{address_of(sender).domain}>"
        message["Auto-Submitted"] = "auto-generated"
    except (ValueError, IndexError, UnicodeError) as error:
        raise Refused("This is no address that mail goes to.", code="bad-address") from error
    message.set_content(letter.body.text, cte=cte)
    message.add_alternative(letter.body.html, subtype="html", cte=cte)
    return message


def address_of(text: str) -> Address:
    """An address by its two halves, so that nothing in it is read as a second one; a domain in its ASCII form."""
    local, _, domain = text.rpartition("@")
    if not local or not domain:
        raise ValueError("an address has two halves")
    return Address(username=local, domain=domain.encode("idna").decode())
