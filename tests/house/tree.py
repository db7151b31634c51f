"""The tree as the house tests see it: its files, and Python modules parsed once."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from infra.tree import PRODUCT, ROOT, files

__all__ = ["ROOT", "dotted", "modules", "tracked"]


@cache
def tracked() -> tuple[Path, ...]:
    """Every file of the repository, relative to the root."""
    return tuple(files())


@cache
def modules() -> dict[Path, ast.Module]:
    """Product modules (not tests), parsed."""
    return {
        path: ast.parse((ROOT / path).read_text())
        for path in tracked()
        if path.suffix == ".py" and path.parts[0] in PRODUCT
    }


def dotted(path: Path) -> str:
    """The import name of a module's path."""
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")
