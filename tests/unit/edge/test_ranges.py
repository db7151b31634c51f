"""Range, If-Range and If-None-Match as RFC 9110 reads them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edge import ranges
from gateway.edge.bodies import cut

sizes = st.integers(1, 5000)


@given(sizes, st.integers(0, 6000), st.integers(0, 6000))
def test_a_single_range_is_what_a_slice_gives(size: int, first: int, last: int) -> None:
    header = b"bytes=%d-%d" % (first, last)
    if last < first:
        assert ranges.parse(header, size) is None
    elif first >= size:
        with pytest.raises(ranges.Unsatisfiable):
            ranges.parse(header, size)
    else:
        start, end = ranges.parse(header, size) or (0, 0)
        assert range(size)[start:end] == range(size)[first : last + 1]


@given(sizes, st.integers(0, 6000))
def test_a_suffix_is_the_end_of_the_object(size: int, length: int) -> None:
    if length == 0:
        with pytest.raises(ranges.Unsatisfiable):
            ranges.parse(b"bytes=-0", size)
    else:
        start, end = ranges.parse(b"bytes=-%d" % length, size) or (0, 0)
        assert range(size)[start:end] == range(size)[-length:]


@given(st.binary(max_size=40), sizes)
def test_any_bytes_give_a_range_inside_the_object_or_none(header: bytes, size: int) -> None:
    try:
        found = ranges.parse(header, size)
    except ranges.Unsatisfiable:
        return
    assert found is None or 0 <= found[0] < found[1] <= size


@pytest.mark.parametrize(
    "header", [b"", b"bytes", b"bytes=", b"bytes=-", b"bytes=1-2,3-4", b"items=0-1", b"bytes=0x1-2", b"bytes=+1-2"]
)
def test_what_is_no_single_byte_range_is_ignored(header: bytes) -> None:
    assert ranges.parse(header, 100) is None


def test_a_range_number_of_absurd_length_is_ignored() -> None:
    assert ranges.parse(b"bytes=0-" + b"9" * 5000, 100) is None


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=8), st.data())
def test_cut_gives_the_bytes_of_the_range(chunks: list[bytes], data: st.DataObject) -> None:
    whole = b"".join(chunks)
    start = data.draw(st.integers(0, len(whole) - 1))
    end = data.draw(st.integers(start + 1, len(whole)))
    assert b"".join(cut(chunks, start, end)) == whole[start:end]


def test_if_range_compares_strongly() -> None:
    assert ranges.same(b'"a"', b'"a"')
    assert not ranges.same(b'W/"a"', b'"a"')
    assert not ranges.same(b"Sat, 21 Nov 2026 00:00:00 GMT", b'"a"')


def test_if_none_match_compares_weakly_over_a_list() -> None:
    assert ranges.matches(b'"x", W/"a"', b'"a"')
    assert ranges.matches(b" * ", b'"a"')
    assert not ranges.matches(b'"aa", a', b'"a"')
