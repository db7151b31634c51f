"""The portal as values: its settings, what of them pages show, and the request of the first admin."""

from __future__ import annotations

import re
from html import escape
from typing import Annotated, Protocol

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.control.accounts.model import Email, Password, Username

#: `$` alone would let one newline pass at the end.
Name = Annotated[str, Meta(max_length=60, pattern=r"^[^\s\x00-\x1f](?:[^\x00-\x1f]*[^\s\x00-\x1f])?$(?!\n)")]
Colour = Annotated[str, Meta(pattern=r"^#[0-9A-Fa-f]{6}$(?!\n)")]
#: Nothing, a picture of our own server, or one elsewhere by https.
LogoUrl = Annotated[
    str, Meta(max_length=500, pattern=r"^(?:/(?!/)[^\s\x00-\x1f\"'<>\\]*|https://[^\s\x00-\x1f\"'<>\\]+)?$(?!\n)")
]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3,5}$(?!\n)")]
LegalText = Annotated[str, Meta(max_length=50_000, pattern=r"^[^\x00]*$")]
#: Room for legal texts in which every letter is written as an escape.
MAX_BODY_BYTES = 512 << 10


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The one row: name, looks, fee in basis points, legal texts in plain words."""

    name: str
    logo_url: str
    accent: str
    accent_dark: str
    fee_bp: int
    currency: str
    legal_text: str


class Portal(Settings, frozen=True, kw_only=True):
    """What pages show: the settings, the legal texts as paragraphs of HTML, and whether the first admin is missing."""

    legal_html: str
    needs_setup: bool


class Furnishing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings to change; what is left out stays."""

    name: Name | UnsetType = UNSET
    logo_url: LogoUrl | UnsetType = UNSET
    accent: Colour | UnsetType = UNSET
    accent_dark: Colour | UnsetType = UNSET
    fee_bp: Annotated[int, Meta(ge=0, le=10_000)] | UnsetType = UNSET
    currency: Currency | UnsetType = UNSET
    legal_text: LegalText | UnsetType = UNSET


class SettingUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The first admin, and the name of the portal."""

    username: Username
    email: Email
    password: Password
    portal_name: Name


class PortalRows(Protocol):
    """What the actions ask of the portal's row."""

    async def read(self) -> Settings: ...
    async def lock(self) -> Settings: ...
    async def write(self, settings: Settings) -> None: ...
    async def has_admin(self) -> bool: ...


def shown(settings: Settings, *, needs_setup: bool) -> Portal:
    """The settings as pages show them."""
    return Portal(
        **msgspec.structs.asdict(settings), legal_html=paragraphs(settings.legal_text), needs_setup=needs_setup
    )


def furnished(settings: Settings, asked: Furnishing) -> Settings:
    """The settings with what was asked."""
    changes = {name: value for name, value in msgspec.structs.asdict(asked).items() if value is not UNSET}
    return msgspec.structs.replace(settings, **changes)


def paragraphs(text: str) -> str:
    """Plain text as HTML: an empty line ends a paragraph, a line break stays one, nothing else means anything."""
    parts = [part.strip() for part in re.split(r"\n\s*\n", text.replace("\r\n", "\n"))]
    return "".join(f"<p>{escape(part).replace(chr(10), '<br>')}</p>" for part in parts if part)
