"""What ffmpeg's last words say of a card: full, gone, or nothing at all. Pure."""

from __future__ import annotations

import re
from typing import Final

from shared.errors import EncodeFailed

#: Codes of EncodeFailed with which no attempt on this class of machine can succeed: the card is gone or broken, never
#: gives as many sessions as a chunk needs, or gave none for long.
NO_CARD, TOO_FEW_SESSIONS, NO_SESSION = "no-card", "too-few-sessions", "no-session"
#: The machine has no encoder unit, another may have one.
NO_ENCODER: Final = "no-encoder"
#: NVENC's own limit, as drivers word it (nvEncodeAPI.h: 10 OUT_OF_MEMORY, 21 INCOMPATIBLE_CLIENT_KEY).
_FULL: Final = re.compile(
    r"OpenEncodeSessionEx failed: (out of memory|incompatible client key)|No free encoding session available"
)
_GONE: Final = re.compile(
    r"Cannot load lib(cuda|nvidia-encode|nvcuvid)|Could not dynamically load CUDA|CUDA_ERROR_(?!OUT_OF_MEMORY)\w+"
    r"|No (NVENC )?capable devices found|Driver does not support the required nvenc API version"
    r"|(no encode device|unsupported device|invalid encoder ?device|device not exist|generic error) \(\d+\)"
)


def is_full(error: EncodeFailed) -> bool:
    """Whether the card had no session left."""
    return any(_FULL.search(line) for line in _lines(error))


def gone(error: EncodeFailed) -> str | None:
    """The line that says that there is no card, none that encodes, or that it died; None where no line does."""
    return next((line for line in _lines(error) if _GONE.search(line)), None)


def why_replan(error: EncodeFailed) -> str | None:
    """Why the version should be planned anew for x264 at once; None: another attempt may do, the third decides."""
    return str(error) if error.code in (NO_CARD, TOO_FEW_SESSIONS, NO_SESSION) else None


def _lines(error: EncodeFailed) -> tuple[str, ...]:
    lines = error.details.get("lines")
    return tuple(map(str, lines)) if isinstance(lines, list | tuple) else ()
