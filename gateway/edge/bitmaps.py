"""Bitmaps of segment indexes: least significant bit first, as long as they must be."""

from __future__ import annotations

from typing import Final

#: Segments from here on are not noted: no title is that long (72 hours of 4 s), and a bitmap must stay small.
MAX_INDEX: Final = 1 << 16


def grown(bits: bytearray, byte: int) -> bytearray:
    """`bits`, in place, long enough to hold `byte` and some that will follow."""
    bits.extend(bytes(byte + 16 - len(bits)))
    return bits


def has(bits: bytes | bytearray, index: int) -> bool:
    """Whether a bit is set."""
    return index >> 3 < len(bits) and bool(bits[index >> 3] & 1 << (index & 7))


def mark(bits: bytearray, index: int) -> None:
    """Set a bit, in place."""
    if index >> 3 >= len(bits):
        grown(bits, index >> 3)
    bits[index >> 3] |= 1 << (index & 7)


def joined(one: bytes | bytearray, other: bytes | bytearray) -> bytearray:
    """The bits of both, up to MAX_INDEX."""
    longest = max(len(one), len(other))
    both = int.from_bytes(one, "little") | int.from_bytes(other, "little")
    return bytearray(both.to_bytes(longest, "little")[: MAX_INDEX >> 3])


def packed(bits: int) -> bytes:
    """An int of bits as bytes, without trailing zeros."""
    return bits.to_bytes((bits.bit_length() + 7) // 8, "little")
