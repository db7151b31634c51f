"""How a body must begin for its name: what tells an error page sent with 200 from media."""

from __future__ import annotations

from typing import Final

#: Text formats say who they are in their first line (RFC 8216 4.3.1.1, WebVTT 4.1); so does JPEG.
_SIGNATURES: Final = {".m3u8": b"#EXTM3U", ".vtt": b"WEBVTT", ".jpg": b"\xff\xd8"}
_BOM: Final = b"\xef\xbb\xbf"
#: As much of a body as tells text from boxes: a box begins with its size, whose first byte is no letter.
_LOOK_BYTES: Final = 64
_TEXT: Final = frozenset(range(0x20, 0x7F)) | frozenset(b"\t\r\n")


def belies(key: str, head: bytes) -> bool:
    """Whether a body that begins with `head` cannot be what its name says."""
    head = head[:_LOOK_BYTES].removeprefix(_BOM)
    signature = _SIGNATURES.get(key[key.rfind(".") :])
    if signature is not None:
        return not head.startswith(signature)
    return not head or _is_page(head)


def _is_page(head: bytes) -> bool:
    """Markup, JSON, or words with spaces between them."""
    if not _TEXT.issuperset(head):
        return False
    return head.lstrip()[:1] in (b"<", b"{") or b" " in head
