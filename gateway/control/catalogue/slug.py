"""Slugs: a name as it stands in an address, in Latin letters. Pure."""

from __future__ import annotations

import re
import unicodedata

#: Letters that do not decompose into a Latin one and a mark.
_LETTERS = str.maketrans(
    {
        **dict(zip("ßæœøłđþðıħŋ", ("ss", "ae", "oe", "o", "l", "d", "th", "d", "i", "h", "ng"), strict=True)),
        **dict(zip("äöü", ("ae", "oe", "ue"), strict=True)),
        **dict(zip("абвгдезийклмнопрстуфыэіґ", "abvgdeziiklmnoprstufyeig", strict=True)),
        **dict(zip("жхцчшщюяєї", ("zh", "kh", "ts", "ch", "sh", "shch", "yu", "ya", "ye", "yi"), strict=True)),
        **dict.fromkeys("ьъ", ""),
        "ё": "yo",
        **dict(zip("αβγδεζηικλμνξοπρσςτυω", "abgdeziiklmnxoprsstyo", strict=True)),
        **dict(zip("θφχψ", ("th", "f", "ch", "ps"), strict=True)),
        "&": " and ",
        "'": "",
        "\u2019": "",
    }
)


def slug_of(name: str) -> str:
    """A name as it stands in an address: Latin letters, digits and single hyphens, at most 80; `title` for none."""
    plain = unicodedata.normalize("NFC", name).lower().translate(_LETTERS)
    # Greek letters with an accent decompose into those of the table, so it is asked again after the marks are gone.
    marks_gone = "".join(c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))
    plain = marks_gone.translate(_LETTERS)
    return re.sub(r"[^a-z0-9]+", "-", plain)[:80].strip("-") or "title"
