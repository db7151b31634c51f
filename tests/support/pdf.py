"""PDFs read back: the texts that stand on their pages."""

from __future__ import annotations

import base64
import re
import zlib


def texts(document: bytes) -> list[str]:
    """All texts of its pages, in their order."""
    pages = re.findall(rb"stream\s*(.*?)~>\s*endstream", document, re.DOTALL)
    shown = b"\n".join(zlib.decompress(base64.a85decode(page)) for page in pages)
    found = re.findall(rb"\(((?:\\.|[^\\)])*)\) Tj", shown)
    plain = [re.sub(rb"\\(\d{3})", lambda code: bytes([int(code[1], 8)]), text) for text in found]
    return [re.sub(rb"\\(.)", rb"\1", text).decode("cp1252") for text in plain]
