"""What players tell of their viewers' experience: CMCD versions 1 and 2 (CTA-5004, CTA-5004-B), made into histograms.

A report is the query argument `CMCD`, or the four headers CMCD-Object, -Request, -Session and -Status, and reads like a
dictionary of structured fields (RFC 8941): `bl=21300,br=3200,ot=v,su`. Version 2 writes some numbers as lists, an entry
for each object type: `br=(3200;v 128;a),v=2`. Nothing in it is believed beyond its form: it only feeds metrics.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import unquote

import msgspec

from shared import metrics
from shared.flags import Flags

FLAG: Final = "qoe.enabled"
#: The flag is read this often, by a reader whose copy is good for one second: a kill is heard within two.
WATCH_S: Final = 0.5
LONGEST, MOST_KEYS = 4096, 64
#: What is fetched, by the token `ot`.
OBJECTS: Final = {
    "m": "manifest",
    "a": "audio",
    "v": "video",
    "av": "muxed",
    "i": "init",
    "c": "caption",
    "tt": "timed-text",
    "k": "key",
    "o": "other",
}

_KEY: Final = r"[A-Za-z*][A-Za-z0-9_.*-]{0,63}"
_BARE: Final = (
    r'(?:"(?:[ !#-\[\]-~]|\\["\\])*"'  # string
    r"|-?\d{1,15}(?:\.\d{1,9})?"  # integer, decimal
    r"|[A-Za-z*][!#$%&'*+.^_`|~0-9A-Za-z:/-]*"  # token
    r"|\?[01])"  # boolean
)
_ITEM: Final = rf"{_BARE}(?:; *{_KEY}(?:={_BARE})?)*"
_MEMBER: Final = re.compile(rf"({_KEY})(?:=({_ITEM}|\( *(?:{_ITEM}(?: +{_ITEM})*)? *\)))?")
_COMMA: Final = re.compile(r"[ \t]*,[ \t]*")
_ENTRY: Final = re.compile(rf"({_BARE})((?:; *{_KEY}(?:={_BARE})?)*)")
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What one request said, in the standard's units; None where it said nothing, or nothing possible."""

    version: int = 1
    object: str = "unknown"
    wants_start: bool = False
    starved: bool = False
    startup_ms: float | None = None
    stall_ms: float | None = None
    buffer_ms: float | None = None
    bitrate_kbps: float | None = None
    throughput_kbps: float | None = None
    rate: float | None = None


def parse(text: str) -> Report | None:
    """The report in `text`; None when it is not of the form that the standard gives. Never raises."""
    members = _members(text)
    if not members:
        return None
    kind = members.get("ot", "")
    return Report(
        version=2 if members.get("v") == "2" else 1,
        object=OBJECTS.get(kind, "unknown"),
        wants_start=members.get("su") == "?1",
        starved=members.get("bs") == "?1",
        startup_ms=_number(members, "msd"),
        stall_ms=_number(members, "bsd"),
        buffer_ms=_number(members, "bl"),
        bitrate_kbps=_number(members, "br"),
        throughput_kbps=_number(members, "mtp"),
        rate=_number(members, "pr"),
    )


def _members(text: str) -> dict[str, str] | None:
    """Key → value as written; a key alone is true. The last of two equal keys counts (RFC 8941, 3.2)."""
    members: dict[str, str] = {}
    at = 0
    while len(text) <= LONGEST and len(members) <= MOST_KEYS and (found := _MEMBER.match(text, at)):
        members[found[1]] = found[2] or "?1"
        if found.end() == len(text):
            return members
        if not (comma := _COMMA.match(text, found.end())):
            return None
        at = comma.end()
    return None


def _number(members: Mapping[str, str], key: str) -> float | None:
    """The number under `key`; of a list the entry for the object fetched, else the first. None for all but numbers."""
    value = members.get(key)
    if value is None:
        return None
    if value.startswith("("):
        kind = members.get("ot", "-")
        entries = list(_entries(value))
        first = entries[0][0] if entries else ""
        value = next((entry for entry, tags in entries if kind in tags or f"ot={kind}" in tags), first)
    return float(value) if _NUMBER.fullmatch(value) else None


def _entries(value: str) -> Iterator[tuple[str, list[str]]]:
    for entry in _ENTRY.finditer(value.strip("()")):
        yield entry[1], [tag.strip() for tag in entry[2].split(";")[1:]]


def from_query(query: str) -> str | None:
    """The decoded argument `CMCD`; None where there is none."""
    for argument in query.split("&"):
        if argument.startswith("CMCD="):
            return unquote(argument[5:], errors="replace")
    return None


class Cmcd:
    """Notes reports while the flag is on."""

    def __init__(self, flags: Flags, *, edge: str) -> None:
        self._flags, self._edge = flags, edge
        self.is_on = False

    async def watch(self) -> None:
        """Follow the flag for ever; a percentage below 100 chooses among edges."""
        while True:
            self.is_on = await self._flags.flag(FLAG, self._edge)
            await asyncio.sleep(WATCH_S)

    def note(self, query: str, headers: str = "") -> None:
        """Take in one request's query, or the values of its CMCD headers joined by commas. Never raises."""
        if not self.is_on:
            return
        if len(query) > 3 * LONGEST:
            metrics.QOE_REPORTS.labels("malformed").inc()
            return
        text = headers or from_query(query)
        if text is None:
            return
        report = parse(text)
        metrics.QOE_REPORTS.labels(f"v{report.version}" if report else "malformed").inc()
        if report:
            _observe(report)


def _observe(report: Report) -> None:
    if report.wants_start:
        metrics.QOE_STARTING.labels(report.object).inc()
    if report.starved:
        metrics.QOE_STALLS.labels(report.object).inc()
    if report.startup_ms is not None:
        metrics.QOE_STARTUP.observe(report.startup_ms / 1000)
    if report.stall_ms:
        metrics.QOE_STALL.observe(report.stall_ms / 1000)
    if report.buffer_ms is not None:
        metrics.QOE_BUFFER.labels(report.object).observe(report.buffer_ms / 1000)
    if report.bitrate_kbps is not None:
        metrics.QOE_BITRATE.labels(report.object).observe(report.bitrate_kbps * 1000)
    if report.throughput_kbps is not None:
        metrics.QOE_THROUGHPUT.observe(report.throughput_kbps * 1000)
    if report.rate is not None:
        metrics.QOE_RATE.observe(report.rate)
