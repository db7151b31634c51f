"""Languages: the tag players are told (BCP 47) for what a file or a person says, and the name a menu shows. Pure."""

from __future__ import annotations

import re
from typing import Final

#: Says that nobody named the language (ISO 639-2).
UNKNOWN: Final = "und"
#: Language, then script, region and variants (RFC 5646, without extensions).
TAG: Final = r"[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?(-([A-Za-z0-9]{5,8}|[0-9][A-Za-z0-9]{3})){0,2}"
_TAG: Final = re.compile(TAG)

#: Two letters, the three of ISO 639-2 (its second set after a slash), and the language's own name.
_TABLE: Final = """
ar ara العربية
bg bul Български
bn ben বাংলা
ca cat Català
cs ces/cze Čeština
cy cym/wel Cymraeg
da dan Dansk
de deu/ger Deutsch
el ell/gre Ελληνικά
en eng English
es spa Español
et est Eesti
eu eus/baq Euskara
fa fas/per فارسی
fi fin Suomi
fr fra/fre Français
ga gle Gaeilge
gl glg Galego
he heb עברית
hi hin हिन्दी
hr hrv Hrvatski
hu hun Magyar
hy hye/arm Հայերեն
id ind Bahasa Indonesia
is isl/ice Íslenska
it ita Italiano
ja jpn 日本語
ka kat/geo ქართული
ko kor 한국어
lt lit Lietuvių
lv lav Latviešu
mk mkd/mac Македонски
ms msa/may Bahasa Melayu
mt mlt Malti
nb nob Norsk bokmål
nl nld/dut Nederlands
nn nno Norsk nynorsk
no nor Norsk
pl pol Polski
pt por Português
ro ron/rum Română
ru rus Русский
sk slk/slo Slovenčina
sl slv Slovenščina
sq sqi/alb Shqip
sr srp Српски
sv swe Svenska
sw swa Kiswahili
ta tam தமிழ்
te tel తెలుగు
th tha ไทย
tr tur Türkçe
uk ukr Українська
ur urd اردو
vi vie Tiếng Việt
zh zho/chi 中文
"""
_ROWS: Final = [line.split(" ", 2) for line in _TABLE.strip().splitlines()]
_SHORT: Final = {three: two for two, threes, _ in _ROWS for three in threes.split("/")}
_NAMES: Final = {two: name for two, _, name in _ROWS}


def tag(said: str) -> str:
    """The BCP 47 tag in its usual case (`ger` is `de`, `pt-br` is `pt-BR`); `und` for what is none."""
    said = said.strip().replace("_", "-")
    if not _TAG.fullmatch(said):
        return UNKNOWN
    first, *rest = said.lower().split("-")
    return "-".join([_SHORT.get(first, first), *map(_cased, rest)])


def name(language: str) -> str:
    """What a menu shows for a tag: the language's own name, with its region if there is one; empty for `und`."""
    first, _, rest = language.partition("-")
    if first == UNKNOWN:
        return ""
    known = _NAMES.get(first, first)
    return f"{known} ({rest})" if rest else known


def _cased(part: str) -> str:
    if len(part) == 4 and part.isalpha():
        return part.title()
    return part.upper() if len(part) == 2 else part
