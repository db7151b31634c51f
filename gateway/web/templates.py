"""Templates and the filters that say prices, lengths and names as people do."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urljoin

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from shared.money import Money
from shared.rates import PER_DOLLAR, RATES_OF

FOLDER = Path(__file__).parent / "templates"
SIGNS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}
#: Tints of a poster that is missing; browse.css has one class each.
TINTS = 6
#: Longest description in a page's meta tags.
BRIEF_LENGTH = 200


def environment(static: Callable[[str], str]) -> Environment:
    """The environment of all pages. Everything is escaped; a name that is missing is an error, not a blank."""
    made = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(static=static, currencies=sorted(PER_DOLLAR), rates_of=RATES_OF)
    made.filters.update(
        absolute=lambda url, origin: urljoin(f"{origin}/", url),
        brief=brief,
        clock=clock,
        initial=lambda name: name.strip()[:1].upper() or "?",
        price=lambda title: price(title.price_minor, title.currency),
        spoken=spoken,
        tint=lambda name: zlib.crc32(str(name).encode()) % TINTS,
    )
    return made


def price(amount_minor: int, currency: str) -> str:
    """`$4.99`, or `1,204.99 CHF` where the currency has no sign everybody knows."""
    whole, point, rest = str(Money(amount_minor, currency)).removesuffix(f" {currency}").partition(".")
    number = f"{int(whole):,}{point}{rest}"
    return f"{SIGNS[currency]}{number}" if currency in SIGNS else f"{number}\u00a0{currency}"


def clock(seconds: float) -> str:
    """`4:05` or `1:32:07`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def spoken(seconds: float) -> str:
    """`1 h 32 min`, `4 min` or `35 s`."""
    if seconds < 60:
        return f"{round(seconds)} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if not hours:
        return f"{minutes} min"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def brief(text: str) -> str:
    """A description on one line, cut at a word."""
    line = " ".join(text.split())
    return line if len(line) <= BRIEF_LENGTH else line[:BRIEF_LENGTH].rsplit(" ", 1)[0] + " …"


def paragraphs(text: str) -> Markup:
    """Plain text as paragraphs: a blank line ends one, nothing in it is markup."""
    blocks = (block.strip() for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n")))
    return Markup("").join(
        Markup("<p>{}</p>").format(Markup("<br>").join(escape(line) for line in block.split("\n")))
        for block in blocks
        if block
    )
