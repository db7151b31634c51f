"""Addresses: what is decoded once, what is refused, and what a path belongs to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge import resolve
from gateway.edge.refusals import Refusal
from tests.support.paths import TRICKS


def code(target: str) -> str:
    try:
        _, path = resolve.split(target.encode("utf-8", "surrogateescape"))
        return "key " + found if (found := resolve.Targets().of(path).key) else "not-found"
    except Refusal as refused:
        assert refused.status in (400, 404)
        return refused.code


def test_there_are_enough_tricks() -> None:
    assert len(set(TRICKS)) >= 60


@pytest.mark.parametrize("trick", TRICKS)
@pytest.mark.parametrize("prefix", ["/t/a.b.c/v/ttl_a/", "/v/ttl_a/"])
def test_a_path_trick_finds_nothing(prefix: str, trick: str) -> None:
    assert code(prefix + trick) in ("path-malformed", "not-found")


@given(st.text(max_size=60))
def test_whatever_is_asked_a_key_stays_under_its_title_and_is_media(text: str) -> None:
    found = code("/v/ttl_a/" + text.encode("utf-8", "replace").decode())
    if found.startswith("key "):
        parts = found[4:].split("/")
        assert parts[:2] == ["v", "ttl_a"]
        assert not {"", ".", ".."} & set(parts)
        assert resolve.extension(found) in resolve.TYPES


def test_escapes_are_decoded_once() -> None:
    assert code("/v/ttl_a/ver1/7%320/0/0.m4s") == "key v/ttl_a/ver1/720/0/0.m4s"
    assert code("/v/ttl%5Fa/ver1/720%2f0/0.m4s") == "key v/ttl_a/ver1/720/0/0.m4s"
    assert code("/v/ttl_a/ver1/7%25320/0/0.m4s") == "not-found"


def test_the_token_is_what_stands_between_the_first_slashes() -> None:
    assert resolve.split(b"/t/a.b.c/v/x/y.m4s") == (b"a.b.c", b"v/x/y.m4s")
    assert resolve.split(b"/t/a%2eb/end") == (b"a%2eb", b"end")
    assert resolve.split(b"/v/x/y.m4s") == (b"", b"v/x/y.m4s")
    for nothing in (b"/t/a.b.c", b"//t/a/v/x", b"/%74/a/v/x", b"/x", b""):
        with pytest.raises(Refusal):
            resolve.split(nothing)


@pytest.mark.parametrize(
    ("path", "height"),
    [
        ("v/t/ver/1080/0/3.m4s", 1080),
        ("v/t/ver/720/index.m3u8", 720),
        ("v/t/e/4f3a/480.m3u8", 480),
        ("v/t/e/1080/audio.m3u8", 0),
        ("v/t/1080/audio-0/0/3.m4s", 0),
        ("v/t/ver/poster.jpg", 0),
        ("v/t/9000/poster.jpg", 0),
        ("v/t/ver/1080p60/0/3.m4s", 1080),
    ],
)
def test_the_height_is_the_renditions_or_the_ceilings(path: str, height: int) -> None:
    assert resolve.height(path) == height
