"""Uploads as values: tus headers, names, first bytes, parts."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.uploads.model import (
    EXTENSIONS,
    Upload,
    check_container,
    check_filename,
    check_open,
    metadata_of,
    parse_checksum,
    parse_creation,
    parse_metadata,
    parse_offset,
    sniff,
)
from shared.errors import Gone, Refused, TooLarge, Unsupported
from shared.storage.base import PART_LAST, PART_MIN_BYTES
from tests.support.tus import metadata

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIMIT = 1000


def upload(**about: object) -> Upload:
    facts = {"id": "upl_1", "title": "ttl_1", "seller": "sel_1", "principal": "prn_1", "filename": "Älter.mp4"}
    facts |= {"size_bytes": 100, "created_at": NOW, "expires_at": NOW + timedelta(seconds=60)}  # type: ignore[dict-item]
    return Upload(**{**facts, **about})  # type: ignore[arg-type]


def creation(length: str = "100", **facts: str) -> dict[str, str]:
    return {"upload-length": length, "upload-metadata": metadata(**{"title": "ttl_1", "filename": "a.mp4", **facts})}


def packets(size: int, offset: int = 0) -> bytes:
    return b"".join(bytes(offset) + b"\x47" + bytes(size - 1 - offset) for _ in range(6))


MASTERS = {
    "mp4": b"\0\0\0\x18ftypmp42",
    "mp4-dash": b"\0\0\0\x18ftypiso6",
    "mov": b"\0\0\0\x14ftypqt  ",
    "mov-old": b"\0\0\0\x08wide\0\0\0\0mdat",
    "m4a": b"\0\0\0\x18ftypM4A ",
    "mkv": b"\x1a\x45\xdf\xa3\xa3\x42\x86\x81\x01\x42\x82\x88matroska",
    "webm": b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82\x84webm",
    "avi": b"RIFF\x10\0\0\0AVI LIST",
    "wav": b"RIFF\x10\0\0\0WAVEfmt ",
    "wav-big": b"RF64\xff\xff\xff\xffWAVEds64",
    "flac": b"fLaC\0\0\0\x22",
    "ogg": b"OggS\0\x02",
    "mp3": b"ID3\x04\0\0\0\0\0\0",
    "mp3-bare": b"\xff\xfb\x90\x00" + bytes(100),
    "aac": b"\xff\xf1\x50\x80" + bytes(100),
    "ts": packets(188),
    "ts-blu-ray": packets(192, 4),
}


@pytest.mark.parametrize("name", MASTERS)
def test_sniff_tells_the_container_by_its_first_bytes(name: str) -> None:
    assert check_container(MASTERS[name]) == name.split("-")[0]


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"#EXTM3U\n#EXT-X-VERSION:3\n", "playlist"),
        (b"\xef\xbb\xbf\r\n#EXTM3U\n", "playlist"),
        (b"ffconcat version 1.0\nfile '/etc/passwd'\n", "list of files"),
        (b"file 'a.mp4'\nfile 'b.mp4'\n", "list of files"),
        (b"just some words in a file called film.mp4", "text"),
        ("Wörter".encode(), "text"),
        (b"<?xml version='1.0'?><MPD/>", "text"),
        (b"\x7fELF\x02\x01\x01" + bytes(50), "neither"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "neither"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "neither"),
        (b"PK\x03\x04" + bytes(50), "neither"),
        (b"\x1a\x45\xdf\xa3" + bytes(60), "neither"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "neither"),
        (b"G" + b"a" * 500, "text"),
        (bytes(4096), "neither"),
        (b"\0", "neither"),
    ],
)
def test_check_container_says_what_a_file_is_instead(head: bytes, words: str) -> None:
    with pytest.raises(Unsupported, match=words) as refused:
        check_container(head)
    assert refused.value.code == "not-a-master"


@given(st.binary(max_size=600))
def test_sniff_answers_for_any_bytes(head: bytes) -> None:
    assert sniff(head) in {None, "mp4", "mov", "m4a", "mkv", "webm", "avi", "wav", "flac", "ogg", "mp3", "aac", "ts"}


@given(st.text(max_size=200))
def test_text_is_never_a_master_unless_it_spells_a_magic(text: str) -> None:
    head = ("; " + text).encode()
    if head[4:8] not in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
        assert sniff(head) is None


@pytest.mark.parametrize("extension", sorted(EXTENSIONS))
def test_a_filename_may_end_in_every_listed_extension(extension: str) -> None:
    assert check_filename(f"film.{extension.upper()}") == f"film.{extension.upper()}"


@pytest.mark.parametrize("name", ["film.txt", "film", "film.mp4.exe", "mp4", "film.m3u8", "film.ffconcat", "film."])
def test_a_filename_of_another_kind_is_unsupported(name: str) -> None:
    with pytest.raises(Unsupported, match="MP4"):
        check_filename(name)


@pytest.mark.parametrize("name", ["", "a" * 252 + ".mp4", "fi\0lm.mp4", "fi\nlm.mp4", "/", "fi\x1blm.mp4"])
def test_a_filename_that_cannot_be_shown_is_a_bad_header(name: str) -> None:
    with pytest.raises(Refused) as refused:
        check_filename(name)
    assert refused.value.code == "bad-header"


@pytest.mark.parametrize("name", ["../../etc/a.mp4", "C:\\films\\a.mp4", "/a.mp4", "  a.mp4 "])
def test_a_filename_loses_its_folders(name: str) -> None:
    assert check_filename(name) == "a.mp4"


def test_creation_reads_what_is_announced() -> None:
    sha256 = hashlib.sha256(b"x").hexdigest()
    new = parse_creation(creation(sha256=sha256.upper(), filetype="video/mp4"), limit_bytes=LIMIT)
    assert (new.title, new.filename, new.size_bytes, new.sha256) == ("ttl_1", "a.mp4", 100, sha256)
    assert parse_creation(creation(str(LIMIT)), limit_bytes=LIMIT).size_bytes == LIMIT
    assert (new.mode, new.loudness) == ("fixed", False)
    wanted = parse_creation(creation(mode="per-title", loudness="even"), limit_bytes=LIMIT)
    assert (wanted.mode, wanted.loudness) == ("per-title", True)


@pytest.mark.parametrize("length", [str(LIMIT + 1), "9" * 18, "9" * 400, "1" + "0" * 30])
def test_creation_refuses_a_size_over_the_limit(length: str) -> None:
    with pytest.raises(TooLarge, match="1000"):
        parse_creation(creation(length), limit_bytes=LIMIT)


@pytest.mark.parametrize("length", ["", "-1", "1.5", "0x10", "١٢", "1 2", "1e3", "nan"])
def test_creation_refuses_a_length_that_is_no_number(length: str) -> None:
    with pytest.raises(Refused, match="Upload-Length") as refused:
        parse_creation(creation(length), limit_bytes=LIMIT)
    assert refused.value.code == "bad-header"


def test_creation_refuses_a_length_that_comes_later() -> None:
    headers = {**creation(), "upload-defer-length": "1"}
    with pytest.raises(Refused, match="Upload-Defer-Length is not supported"):
        parse_creation(headers, limit_bytes=LIMIT)


def test_creation_refuses_an_empty_file() -> None:
    with pytest.raises(Unsupported, match="empty"):
        parse_creation(creation("0"), limit_bytes=LIMIT)


@pytest.mark.parametrize("facts", [{"title": ""}, {"sha256": "abc"}, {"sha256": "g" * 64}, {"filename": ""}])
def test_creation_refuses_metadata_that_says_too_little(facts: dict[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        parse_creation(creation(**facts), limit_bytes=LIMIT)
    assert refused.value.code == "bad-header"


@pytest.mark.parametrize("text", ["a !!!", "a YQ==,a YQ==", "a /w==", "ä YQ==", "a YQ", "a Y Q=="])
def test_metadata_of_another_form_is_a_bad_header(text: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_metadata(text)
    assert refused.value.code == "bad-header"


def test_metadata_may_be_absent_or_have_no_value() -> None:
    assert parse_metadata("") == {}
    assert parse_metadata("a,b YQ==, c ") == {"a": "", "b": "a", "c": ""}


def test_metadata_is_given_back_as_it_came() -> None:
    assert parse_metadata(metadata_of(upload())) == {"title": "ttl_1", "filename": "Älter.mp4"}
    assert parse_metadata(metadata_of(upload(announced_sha256="0" * 64)))["sha256"] == "0" * 64


def test_checksum_names_algorithm_and_digest() -> None:
    for algorithm in ("sha256", "sha1"):
        digest = hashlib.new(algorithm, b"x").digest()
        found = parse_checksum(f"{algorithm} {base64.b64encode(digest).decode()}")
        assert found is not None and (found.algorithm, found.digest) == (algorithm, digest)
    assert parse_checksum("") is None


@pytest.mark.parametrize("text", ["md5 YQ==", "sha256", "sha256 YQ==", "sha256 !", "sha1 " + "A" * 44, "crc32 AAAA"])
def test_checksum_of_another_form_is_a_bad_header(text: str) -> None:
    with pytest.raises(Refused, match="Upload-Checksum"):
        parse_checksum(text)


def test_offset_is_a_whole_number() -> None:
    assert parse_offset({"upload-offset": "7"}) == 7
    for text in ("", "-1", "x", "9" * 30):
        with pytest.raises(Refused, match="Upload-Offset"):
            parse_offset({"upload-offset": text})


@given(st.integers(min_value=1, max_value=10**15))
def test_parts_never_run_out_and_are_never_too_small(size_bytes: int) -> None:
    part = upload(size_bytes=size_bytes).part_bytes
    assert part >= PART_MIN_BYTES and -(-size_bytes // part) <= PART_LAST


def test_the_next_part_follows_from_what_is_stored() -> None:
    size = 20 * PART_MIN_BYTES
    assert [upload(size_bytes=size, stored_bytes=n * PART_MIN_BYTES).next_part for n in (0, 1, 19)] == [1, 2, 20]


def test_check_open_says_when_an_upload_is_over() -> None:
    check_open(upload(), NOW)
    check_open(upload(state="completed", offset_bytes=100), NOW + timedelta(days=9))
    check_open(upload(offset_bytes=100), NOW + timedelta(days=9))  # all is here: it only waits to be completed
    for about, after_s in (({"state": "expired"}, 0), ({"state": "aborted"}, 0), ({}, 60)):
        with pytest.raises(Gone):
            check_open(upload(**about), NOW + timedelta(seconds=after_s))
