"""The bootstrap's parts: finding a Python, remembering locks, falling back, and words when nothing works."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra import bootstrap, vendor
from infra.stack.plan import ROOT

EARLY = ("infra/__init__.py", "infra/__main__.py", "infra/bootstrap.py", "infra/vendor.py")


def script(path: Path, body: str) -> Path:
    """An executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("name", EARLY)
def test_early_module_parses_on_python_3_8(name: str) -> None:
    ast.parse((ROOT / name).read_text(), feature_version=(3, 8))


@pytest.mark.parametrize("name", EARLY)
def test_early_module_imports_the_standard_library_alone(name: str) -> None:
    for node in ast.walk(ast.parse((ROOT / name).read_text())):
        if isinstance(node, ast.Import):
            assert {alias.name.split(".")[0] for alias in node.names} <= sys.stdlib_module_names
        if isinstance(node, ast.ImportFrom):
            assert str(node.module).split(".")[0] in sys.stdlib_module_names | {"infra", "__future__"}


def test_a_pyenv_that_cannot_be_looked_into_is_passed_over(tmp_path: Path) -> None:
    """As another user's is after `su`; a name too long fails for root as well."""
    assert bootstrap.candidates({"PATH": str(tmp_path), "PYENV_ROOT": "/" + "x" * 300}) == [sys.executable]


def test_candidates_come_newest_first_when_pyenv_and_path_have_several(tmp_path: Path) -> None:
    for version in ("3.11.7", "3.12.1", "3.10.2"):
        script(tmp_path / "pyenv" / "versions" / version / "bin" / f"python{version.rpartition('.')[0]}", "exit 0")
    script(tmp_path / "bin" / "python3", "exit 0")
    found = bootstrap.candidates({"PATH": str(tmp_path / "bin"), "PYENV_ROOT": str(tmp_path / "pyenv")})
    assert [Path(path).name for path in found[1:]] == ["python3.12", "python3.11", "python3"]


def test_python_that_does_not_start_is_passed_over(tmp_path: Path) -> None:
    broken = script(tmp_path / "python3", "exit 127")
    assert bootstrap.version_of(str(broken)) is None
    assert bootstrap.version_of(str(tmp_path / "nothing")) is None
    assert bootstrap.version_of(sys.executable) == sys.version_info[:2]


def test_words_name_the_versions_when_no_python_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = script(tmp_path / "python3", "echo '[3, 9]'")
    monkeypatch.setattr(bootstrap.sys, "executable", str(old))
    with pytest.raises(bootstrap.Stop, match=r"3\.11, 3\.12 or 3\.13"):
        bootstrap.find_python({"PATH": str(tmp_path), "HOME": str(tmp_path)})


def test_newest_pip_wheel_is_chosen_when_versions_have_different_lengths() -> None:
    names = ["pip-9.0.1-py3-none-any.whl", "pip-24.2-py3-none-any.whl", "pip-23.3.1-py3-none-any.whl"]
    assert max(names, key=bootstrap.wheel_version) == "pip-24.2-py3-none-any.whl"


def test_test_lock_stands_for_the_run_lock_when_it_was_installed(tmp_path: Path) -> None:
    (tmp_path / "infra").mkdir()
    run, test = tmp_path / "requirements.lock", tmp_path / "infra" / "requirements-test.lock"
    run.write_text("a==1\n")
    test.write_text("a==1\nb==2\n")
    venv = tmp_path / ".venv"
    venv.mkdir()
    bootstrap.remember(venv, test)
    assert bootstrap.lock_hash(run) in bootstrap.installed(venv)
    bootstrap.remember(venv, run)
    assert bootstrap.lock_hash(test) not in bootstrap.installed(venv)


def test_nothing_is_installed_when_the_stamp_is_of_this_lock(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text("there-is-no-such-package==1\n")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / ".venv" / "bin" / "python").symlink_to(sys.executable)
    bootstrap.remember(tmp_path / ".venv", tmp_path / "requirements.lock")
    python = bootstrap.prepare(test=False, web=False, root=tmp_path)
    assert python == tmp_path / ".venv" / "bin" / "python"
    assert os.access(tmp_path / ".venv" / "bin" / "usher", os.X_OK)


def test_venv_comes_without_pip_when_ensurepip_is_missing(tmp_path: Path) -> None:
    python = script(
        tmp_path / "python3", f'case "$*" in *--without-pip*) exec "{sys.executable}" "$@";; *) exit 1;; esac'
    )
    bootstrap.make_venv(tmp_path / "venv", str(python), uv=None)
    assert bootstrap.venv_works(tmp_path / "venv")
    assert not list((tmp_path / "venv").glob("bin/pip*"))
    pip = bootstrap.pip_command(tmp_path / "venv")
    said = subprocess.run([*pip, "--version"], capture_output=True, text=True).stdout
    assert said.startswith("pip ")


def test_words_say_how_to_get_venv_when_no_way_works(tmp_path: Path) -> None:
    with pytest.raises(bootstrap.Stop, match="python3-venv"):
        bootstrap.make_venv(tmp_path / "venv", str(script(tmp_path / "python3", "exit 1")), uv=None)


def test_words_name_npm_when_front_end_files_cannot_be_fetched(tmp_path: Path) -> None:
    web = tmp_path / "infra" / "web"
    web.mkdir(parents=True)
    (web / "package.json").write_text("{}")
    (web / "package-lock.json").write_text("{}")
    npm = script(tmp_path / "npm", "echo no route to the registry >&2; exit 1")
    with pytest.raises(vendor.Missing, match="no route to the registry"):
        vendor.fetch(tmp_path, npm_commands=[[str(npm)]], say=lambda _: None)
    assert not vendor.is_there(tmp_path)


def test_next_npm_is_tried_when_the_first_fails(tmp_path: Path) -> None:
    web = tmp_path / "infra" / "web"
    web.mkdir(parents=True)
    (web / "package.json").write_text("{}")
    (web / "package-lock.json").write_text("{}")
    modules = " ".join(f"node_modules/{source}" for source in vendor.FILES)
    makes = script(
        tmp_path / "good" / "npm", f'for f in {modules}; do mkdir -p "$(dirname "$f")"; echo "$f" > "$f"; done'
    )
    broken = script(tmp_path / "bad" / "npm", "exit 1")
    vendor.fetch(tmp_path, npm_commands=[[str(broken)], [str(makes)]], say=lambda _: None)
    assert vendor.is_there(tmp_path)
    (web / "package-lock.json").write_text('{"other": true}')
    assert not vendor.is_there(tmp_path)
