"""Subtitles as people send them: SRT and WebVTT read strictly, into cues that are safe to write again. Pure.

What a file holds besides cues (styles, regions, notes, names of cues) is left out. Words of errors name the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NoReturn

import msgspec

from shared.errors import Invalid, TooLarge, Unsupported

MAX_BYTES: Final = 2 << 20
MAX_CUES: Final = 20_000
#: A longer one would be repeated in many segments; none may begin after the longest title.
MAX_CUE_MS: Final = 10 * 60 * 1000
MAX_MS: Final = 24 * 3600 * 1000

#: How files begin that hold other files.
_PACKED: Final = {
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"7z\xbc\xaf": "7z",
    b"Rar!": "rar",
    b"\x28\xb5\x2f\xfd": "zstd",
}
_ARROW: Final = "-->"
_VTT_TIMES: Final = re.compile(
    r"(?:(\d{2,3}):)?([0-5]\d):([0-5]\d)\.(\d{3})[ \t]+-->"
    r"[ \t]+(?:(\d{2,3}):)?([0-5]\d):([0-5]\d)\.(\d{3})(?:[ \t]+(.*))?",
    re.ASCII,
)
_SRT_TIMES: Final = re.compile(
    r"(\d{1,3}):([0-5]?\d):([0-5]?\d)[,.](\d{1,3})[ \t]*-->"
    r"[ \t]*(\d{1,3}):([0-5]?\d):([0-5]?\d)[,.](\d{1,3})(?:[ \t]+.*)?",
    re.ASCII,
)
#: Where a cue stands (WebVTT 3.5), in the forms that name nothing else.
_SETTING: Final = re.compile(
    r"vertical:(?:rl|lr)|align:(?:start|center|end|left|right)|size:\d{1,3}(?:\.\d{1,4})?%"
    r"|(?:line|position):-?\d{1,3}(?:\.\d{1,4})?%?(?:,(?:start|center|end|line-left|line-right))?"
)
#: What SRT files are written with: tags of HTML, and places such as {\an8}.
_SRT_TAG: Final = re.compile(r"</?(?:font|span)(?: [^<>]*)?>|\{\\[^{}]*\}", re.IGNORECASE)
_SRT_KEPT: Final = re.compile(r"&lt;(/?)([biu])&gt;", re.IGNORECASE)
#: What begins no tag and no time of WebVTT (3.4): unknown tags are shown as the text they are.
_VTT_NO_TAG: Final = re.compile(
    r"<(?!/?(?:[cibuv]|ruby|rt|lang)(?:[. \t\n][^<>]*)?>|(?:\d{2,3}:)?[0-5]\d:[0-5]\d\.\d{3}>)", re.ASCII
)


class Cue(msgspec.Struct, frozen=True):
    """Words shown from `start_ms` until before `end_ms`: WebVTT cue text, no line of it empty, and where it stands."""

    start_ms: int
    end_ms: int
    text: str
    settings: str = ""


def parse(data: bytes) -> tuple[Cue, ...]:
    """The cues of a file in order of their start, at least one.

    Raises TooLarge, Unsupported for packed files, and Invalid for what is neither SRT nor WebVTT in UTF-8 or UTF-16.
    """
    if len(data) > MAX_BYTES:
        raise TooLarge(f"Subtitles have at most {MAX_BYTES >> 20} MiB; this file has {len(data)} bytes.")
    for magic, kind in _PACKED.items():
        if data.startswith(magic):
            raise Unsupported(f"This is a packed file ({kind}); send the SRT or WebVTT file that is in it.")
    lines = _decoded(data).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    cues = []
    for cue in _vtt(lines) if re.match(r"WEBVTT(?:[ \t]|\Z)", lines[0]) else _srt(lines):
        cues.append(cue)
        if len(cues) > MAX_CUES:
            raise TooLarge(f"Subtitles have at most {MAX_CUES} cues.")
    if not cues:
        _refuse("There is no cue in this file.")
    return tuple(sorted(cues, key=lambda cue: (cue.start_ms, cue.end_ms)))


def timestamp(ms: int) -> str:
    """A time as WebVTT writes it."""
    seconds, rest = divmod(ms, 1000)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{rest:03d}"


def _decoded(data: bytes) -> str:
    encoding = "utf-8-sig"
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif data[:1] == b"\0" or data[1:2] == b"\0":  # UTF-16 without a mark: all formats begin with ASCII
        encoding = "utf-16-be" if data[:1] == b"\0" else "utf-16-le"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        _refuse(f"This is not text in UTF-8 or UTF-16 (byte {error.start}); save the file as UTF-8.")
    if match := re.search(r"[\x00-\x08\x0b\x0e-\x1f\x7f]", text):
        line = text.count("\n", 0, match.start()) + 1
        _refuse(f"Line {line} holds a control character; this is no text of subtitles.")
    return text.replace("\x0c", " ")


def _blocks(lines: list[str], first: int) -> Iterator[tuple[int, list[str]]]:
    """Runs of lines that are not blank, each with the number of its first line."""
    block: list[str] = []
    for number, line in enumerate([*lines[first:], ""], first + 1):
        if line.strip():
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _vtt(lines: list[str]) -> Iterator[Cue]:
    """WebVTT (W3C, section 4): the header and all that is no cue are left out."""
    for number, block in _blocks(lines, 0):
        at = next((index for index, line in enumerate(block) if _ARROW in line), None)
        if at is None:
            if number == 1 or re.match(r"(?:NOTE|STYLE|REGION)(?:[ \t]|\Z)", block[0]):
                continue
            _refuse(f"Line {number}: a time such as 00:01:02.500 --> 00:01:04.000 is missing.")
        if number == 1 or at > 1:
            _refuse(f"Line {number + at}: an empty line is missing before this cue.")
        match = _VTT_TIMES.fullmatch(block[at].strip())
        if match is None:
            _refuse(f"Line {number + at}: write the time as 00:01:02.500 --> 00:01:04.000.")
        settings = " ".join(word for word in (match[9] or "").split() if _SETTING.fullmatch(word))
        cue = _cue(match, block[at + 1 :], number + at, settings=settings)
        yield msgspec.structs.replace(cue, text=_VTT_NO_TAG.sub("&lt;", cue.text))


def _srt(lines: list[str]) -> Iterator[Cue]:
    """SubRip: a number that may be missing, the time, the text; tags that WebVTT lacks are taken out."""
    for number, block in _blocks(lines, 0):
        at = 1 if block[0].strip().isdecimal() and _ARROW not in block[0] else 0
        match = _SRT_TIMES.fullmatch(block[at].strip()) if at < len(block) else None
        if match is None and number == 1:
            _refuse("This is neither SRT nor WebVTT: it begins with no cue.")
        if match is None:
            _refuse(f"Line {number + at}: write the time as 00:01:02,500 --> 00:01:04,000.")
        cue = _cue(match, block[at + 1 :], number + at)
        yield msgspec.structs.replace(cue, text=_as_vtt(cue.text))


def _as_vtt(text: str) -> str:
    plain = _SRT_TAG.sub("", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _lines(_SRT_KEPT.sub(lambda match: f"<{match[1]}{match[2].lower()}>", plain).split("\n"))


def _lines(text: list[str]) -> str:
    """Lines of a cue; an empty one would end it."""
    return "\n".join(line.strip() for line in text if line.strip())


def _cue(times: re.Match[str], text: list[str], number: int, *, settings: str = "") -> Cue:
    start, end = _ms(times.groups()[:4]), _ms(times.groups()[4:8])
    if end <= start:
        _refuse(f"Line {number}: this cue ends before it begins.")
    if end - start > MAX_CUE_MS:
        _refuse(f"Line {number}: this cue lasts longer than {MAX_CUE_MS // 60_000} minutes.")
    if end > MAX_MS:
        _refuse(f"Line {number}: this cue lies after {MAX_MS // 3_600_000} hours.")
    if any(_ARROW in line for line in text):
        _refuse(f"Line {number}: an empty line is missing after this cue.")
    return Cue(start, end, _lines(text), settings)


def _ms(parts: tuple[str | None, ...]) -> int:
    hours, minutes, seconds, fraction = (part or "0" for part in parts)
    return (int(hours) * 3600 + int(minutes) * 60 + int(seconds)) * 1000 + int(fraction.ljust(3, "0"))


def _refuse(words: str) -> NoReturn:
    raise Invalid(words, code="subtitles")
