"""Languages as files name them become tags that players know, and names that people know."""

from __future__ import annotations

import pytest

from shared import languages


@pytest.mark.parametrize(
    ("said", "tag", "name"),
    [
        ("ger", "de", "Deutsch"),
        ("deu", "de", "Deutsch"),
        ("DE", "de", "Deutsch"),
        ("pt-br", "pt-BR", "Português (BR)"),
        ("zh_hant_tw", "zh-Hant-TW", "中文 (Hant-TW)"),
        ("es-419", "es-419", "Español (419)"),
        ("yue", "yue", "yue"),
        ("und", "und", ""),
        ("", "und", ""),
        ("english", "und", ""),
        ("en\n", "en", "English"),
        ('en"', "und", ""),
    ],
)
def test_a_language_has_one_tag_and_a_name(said: str, tag: str, name: str) -> None:
    assert languages.tag(said) == tag
    assert languages.name(tag) == name


def test_a_tag_stays_itself() -> None:
    for said in ("de", "pt-BR", "zh-Hant-TW", "und"):
        assert languages.tag(languages.tag(said)) == said
