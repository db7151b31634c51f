"""The shape of modules and functions: one noun, one first line, bounded size."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

from tests.house.tree import ROOT, dotted, modules, tracked

MODULE_LINES, FUNCTION_LINES, POSITIONAL = 400, 50, 3
NO_NOUNS = {"service", "utils", "helpers", "manager", "common", "misc", "util"}
ROOT_NAMES = {
    "gateway", "farm", "shared", "infra", "k8s", "benchmarks", "tests", "docs",
    "pyproject.toml", "README.md", "Makefile", "LICENSE", "requirements.lock",
}  # fmt: skip


def functions() -> list[tuple[Path, ast.FunctionDef | ast.AsyncFunctionDef]]:
    return [
        (path, node)
        for path, tree in modules().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def test_every_module_says_what_it_is_in_its_first_line() -> None:
    silent = [str(path) for path, tree in modules().items() if not ast.get_docstring(tree)]
    assert silent == []


def test_no_module_is_longer_than_the_ceiling() -> None:
    long = {str(p): n for p in modules() if (n := len((ROOT / p).read_text().splitlines())) > MODULE_LINES}
    assert long == {}


def test_no_function_is_longer_than_the_ceiling() -> None:
    long = {
        f"{path}:{node.name}": size
        for path, node in functions()
        if (size := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LINES
    }
    assert long == {}


def test_no_function_takes_more_positional_parameters_than_three() -> None:
    wide = [
        f"{path}:{node.name}"
        for path, node in functions()
        if len([a for a in (*node.args.posonlyargs, *node.args.args) if a.arg not in ("self", "cls")]) > POSITIONAL
        and not (node.name.startswith("__") and node.name.endswith("__"))
    ]
    assert wide == []


def test_no_module_is_named_for_nothing() -> None:
    assert [str(path) for path in modules() if path.stem in NO_NOUNS] == []


def test_the_root_holds_only_what_belongs_there() -> None:
    stray = {path.parts[0] for path in tracked() if not path.parts[0].startswith(".")} - ROOT_NAMES
    assert stray == set()


def test_every_feature_is_held_to_its_layers() -> None:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    held = {name for contract in told for name in contract.get("containers", ())}
    features = {dotted(path.parent) for path in modules() if path.match("gateway/control/*/store.py")}
    assert features - held == set()


@pytest.mark.parametrize("package", ["gateway", "farm", "shared", "infra"])
def test_no_import_cycle_within(package: str) -> None:
    names = {dotted(path): path for path in modules() if path.parts[0] == package}
    graph = {name: _imports(path, set(names)) - {name} for name, path in names.items()}
    assert _cycle(graph) == []


def _imports(path: Path, known: set[str]) -> set[str]:
    """Modules imported when `path` is imported (not what only type checkers import)."""
    found: set[str] = set()
    todo: list[ast.stmt] = list(modules()[path].body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
        for field in ("body", "orelse", "handlers", "finalbody"):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                todo += getattr(node, field, [])
    own_packages = {dotted(path).rsplit(".", n)[0] for n in range(1, len(path.parts))}
    return (found & known) - own_packages


def _cycle(graph: dict[str, set[str]]) -> list[str]:
    done: set[str] = set()

    def walk(name: str, trail: list[str]) -> list[str]:
        if name in trail:
            return [*trail[trail.index(name) :], name]
        if name in done:
            return []
        for target in sorted(graph[name]):
            if found := walk(target, [*trail, name]):
                return found
        done.add(name)
        return []

    return next((found for name in sorted(graph) if (found := walk(name, []))), [])
