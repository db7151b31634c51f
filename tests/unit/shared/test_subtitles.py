"""Subtitles as people send them: read strictly, with words for what is wrong, within bounds."""

from __future__ import annotations

import gzip
import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import Invalid, TooLarge, Unsupported, UsherError
from shared.subtitles import MAX_BYTES, MAX_CUES, Cue, parse, timestamp

SRT = "1\n00:00:01,000 --> 00:00:02,500\nHello\n<i>world</i>\n\n2\n00:00:03,000 --> 00:00:04,000\nBye\n"
VTT = "WEBVTT\n\n00:01.000 --> 00:02.500\nHello\n<i>world</i>\n\nlast\n00:03.000 --> 00:00:04.000\nBye\n"
CUES = (Cue(1000, 2500, "Hello\n<i>world</i>"), Cue(3000, 4000, "Bye"))


def packed() -> bytes:
    with zipfile.ZipFile(box := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("bomb.srt", bytes(1 << 20))
    return box.getvalue()


@pytest.mark.parametrize("text", [SRT, VTT], ids=["srt", "vtt"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("line", ["\n", "\r\n", "\r"])
def test_srt_and_webvtt_are_read_in_every_encoding(text: str, encoding: str, line: str) -> None:
    assert parse(text.replace("\n", line).encode(encoding)) == CUES


def test_what_is_no_cue_is_left_out_of_webvtt() -> None:
    text = (
        "WEBVTT a title\nX-TIMESTAMP-MAP=MPEGTS:9,LOCAL:00:00:00.000\n\nSTYLE\n::cue { background: url(//x) }\n\n"
        "REGION\nid:a\n\nNOTE\nnothing\n\n"
        "00:00:01.000 --> 00:00:02.000 region:a line:10% position:50%,center align:start evil:1\n<v Ann>Hi & bye\n"
    )

    assert parse(text.encode()) == (Cue(1000, 2000, "<v Ann>Hi & bye", "line:10% position:50%,center align:start"),)


def test_what_srt_is_written_with_becomes_webvtt() -> None:
    text = '1\n0:0:1,5 --> 0:0:2,25 X1:40 X2:600\n{\\an8}<font color="red">1 < 2 & 3</font> <B>so</B> <script>\n'

    assert parse(text.encode()) == (Cue(1500, 2250, "1 &lt; 2 &amp; 3 <b>so</b> &lt;script&gt;"),)


def test_tags_that_webvtt_does_not_know_are_text() -> None:
    text = (
        "WEBVTT\n\n00:01.000 --> 00:02.000\n<script>alert(1)</script> <img src=x onerror=y>\n"
        "<b.loud>a</b> <00:01.500><c>b</c> <lang en>c</lang> <ruby>d<rt>e</rt></ruby> 1 < 2 <bx> <v\nAnn>f\n"
    )

    assert parse(text.encode())[0].text == (
        "&lt;script>alert(1)&lt;/script> &lt;img src=x onerror=y>\n"
        "<b.loud>a</b> <00:01.500><c>b</c> <lang en>c</lang> <ruby>d<rt>e</rt></ruby> 1 &lt; 2 &lt;bx> <v\nAnn>f"
    )


def test_no_line_that_was_a_tag_alone_ends_its_cue() -> None:
    text = '1\n00:00:01,000 --> 00:00:02,000\na\n{\\an8}\n<font color="red">\nb\n'

    assert parse(text.encode()) == (Cue(1000, 2000, "a\nb"),)


def test_cues_may_overlap_as_they_like() -> None:
    text = "".join(f"00:0{n % 10}:00,000 --> 00:10:00,000\n{n}\n\n" for n in range(2000))

    assert len(parse(text.encode())) == 2000


def test_cues_come_in_the_order_of_their_start() -> None:
    text = "00:00:05,000 --> 00:00:06,000\nb\n\n00:00:01,000 --> 00:00:09,000\na\n"

    assert [cue.text for cue in parse(text.encode())] == ["a", "b"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no cue"),
        (b"WEBVTT\n", "no cue"),
        (b"Dear all,\n\nhello\n", "neither SRT nor WebVTT"),
        (b"WEBVTTX\n\n00:01.000 --> 00:02.000\nx\n", "neither SRT nor WebVTT"),
        (b"WEBVTT\n00:01.000 --> 00:02.000\nx\n", "Line 2: an empty line is missing before"),
        (b"WEBVTT\n\n00:01 --> 00:02\nx\n", "Line 3: write the time as 00:01:02.500"),
        (b"WEBVTT\n\n00:01,000 --> 00:02,000\nx\n", "Line 3: write the time as"),
        (b"WEBVTT\n\nwords alone\n", "Line 3: a time such as"),
        (b"1\n00:00:01,000 --> 00:00:02,000\nx\n\n2\nno time\n", "Line 6: write the time as 00:01:02,500"),
        (b"1\n00:00:02,000 --> 00:00:01,000\nx\n", "Line 2: this cue ends before"),
        (b"1\n00:00:02,000 --> 00:00:02,000\nx\n", "Line 2: this cue ends before"),
        (b"1\n00:00:00,000 --> 00:10:00,001\nx\n", "Line 2: this cue lasts longer"),
        (b"1\n-00:00:02,000 --> 00:00:01,000\nx\n", "neither SRT nor WebVTT"),
        (b"WEBVTT\n\n-00:01.000 --> 00:02.000\nx\n", "Line 3: write the time as 00:01:02.500"),
        (b"1\n25:00:00,000 --> 25:00:01,000\nx\n", "Line 2: this cue lies after"),
        (b"1\n00:00:01,000 --> 00:00:02,000\nx\n00:00:03,000 --> 00:00:04,000\n", "Line 2: an empty line is missing"),
        ("1\n00:00:01,000 --> 00:00:02,000\né\n".encode("latin-1"), "not text in UTF-8 or UTF-16 (byte 32)"),
        (b"1\n00:00:01,000 --> 00:00:02,000\n\x1b[31m\n", "Line 3 holds a control character"),
        ("1\n٠٠:٠٠:٠١,٠٠٠ --> 00:00:02,000\nx\n".encode(), "neither SRT nor WebVTT"),
    ],
)
def test_words_say_what_is_wrong_and_where(data: bytes, words: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(data)
    assert words in str(refused.value) and refused.value.code == "subtitles"


@pytest.mark.parametrize("data", [gzip.compress(SRT.encode()), packed()], ids=["gzip", "zip"])
def test_a_packed_file_is_refused_unopened(data: bytes) -> None:
    with pytest.raises(Unsupported, match="packed file"):
        parse(data)


def test_too_much_is_refused() -> None:
    cue = "00:00:01,000 --> 00:00:02,000\nx\n\n"
    assert len(parse((cue * MAX_CUES).encode())) == MAX_CUES
    with pytest.raises(TooLarge, match="20000 cues"):
        parse((cue * (MAX_CUES + 1)).encode())
    with pytest.raises(TooLarge, match="2 MiB"):
        parse(b" " * (MAX_BYTES + 1))


@given(st.binary(max_size=300) | st.text(max_size=200).map(str.encode))
def test_any_bytes_give_cues_or_words(data: bytes) -> None:
    for body in (data, b"WEBVTT\n\n" + data, b"1\n00:00:01,000 --> 00:00:02,000\n" + data):
        try:
            cues = parse(body)
        except UsherError:
            continue
        assert all("-->" not in cue.text and "\n\n" not in cue.text and cue.end_ms > cue.start_ms for cue in cues)


def test_times_are_written_as_webvtt_has_them() -> None:
    assert timestamp(3_723_045) == "01:02:03.045"
