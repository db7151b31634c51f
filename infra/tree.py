"""The repository's own files, found by walking it, so that a plain copy without git works too."""

from __future__ import annotations

import os
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PRODUCT = ("gateway", "farm", "shared", "infra")


def files() -> list[Path]:
    """All files below the root that .gitignore does not name, relative and sorted."""
    patterns = [line.strip() for line in (ROOT / ".gitignore").read_text().splitlines() if line.strip()]
    found: list[Path] = []
    for folder, folders, names in os.walk(ROOT):
        here = Path(folder).relative_to(ROOT)
        folders[:], kept = (
            [name for name in some if name != ".git" and not _ignored(here / name, patterns)]
            for some in (folders, names)  # in a worktree .git is a file
        )
        found += [here / name for name in kept]
    return sorted(found)


def modules() -> list[Path]:
    """The product's Python modules, folder by folder."""
    python = [path for path in files() if path.suffix == ".py" and path.parts[0] in PRODUCT]
    return sorted(python, key=lambda path: (str(path.parent), path.name))


def _ignored(path: Path, patterns: list[str]) -> bool:
    return any(fnmatch(path.name, pattern.rstrip("/")) or str(path) == pattern.rstrip("/") for pattern in patterns)
