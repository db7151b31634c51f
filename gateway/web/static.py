"""Static files under an address that holds the digest of all of them, so a browser may keep each for ever."""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent / "static"
FOREVER = "public, max-age=31536000, immutable"


def digest(folder: Path = FOLDER) -> str:
    """One digest of every file's path and bytes. Modules import each other by relative address and so share it."""
    total = hashlib.sha256()
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        total.update(file.relative_to(folder).as_posix().encode() + b"\0")
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()[:12]


class StaticTree(StaticFiles):
    """`<digest>/js/x.js` is immutable; `js/x.js` works too and is asked for anew each time."""

    def __init__(self, folder: Path = FOLDER) -> None:
        super().__init__(directory=folder)
        self.digest = digest(folder)

    def url(self, path: str) -> str:
        """The immutable address of a file."""
        return f"/static/{self.digest}/{path}"

    def get_path(self, scope: Scope) -> str:
        return super().get_path(scope).removeprefix(f"{self.digest}/")

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        immutable = scope["path"].startswith(f"/static/{self.digest}/")
        response.headers["Cache-Control"] = FOREVER if immutable else "no-cache"
        return response
