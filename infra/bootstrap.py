"""The bootstrap: from a bare Python to a filled `.venv` and front-end files, by the standard library alone.

It may be run by any Python >= 3.8, so nothing newer is used here or in `infra/vendor.py`. Every step is skipped when
its stamp says that it was done for the very same lock.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Iterator, Mapping, Sequence  # noqa: UP035 - collections.abc cannot be subscripted on 3.8

from infra import vendor

ROOT = Path(__file__).resolve().parent.parent
LOWEST, HIGHEST = (3, 11), (3, 13)
#: Needs the test lock; every other command runs with the run lock.
TEST_COMMANDS = ("test", "check", "chaos", "load")
#: pip as one file, fetched only where this machine has no pip and no wheel of it at all.
PIP_ZIPAPP = "https://bootstrap.pypa.io/pip/pip.pyz"
NO_PYTHON = (
    "Usher needs Python 3.11, 3.12 or 3.13 and found none (looked on PATH, in pyenv and at python3).\n"
    "Install one, for instance: apt install python3  ·  pyenv install 3.12  ·  uv python install 3.12"
)
NO_VENV = (
    "A virtual environment could not be made: this Python has neither pip nor ensurepip, and none could be fetched.\n"
    "Install one of: apt install python3-venv  ·  python3-pip  ·  uv, then run the same command again."
)


class Stop(Exception):
    """The bootstrap cannot go on; the words say what mends it."""


def main(arguments: Sequence[str]) -> int:
    """Prepare, then become the `usher` CLI with the same arguments. Returns only when preparing failed."""
    command = arguments[0] if arguments else "run"
    try:
        python = prepare(test=command in TEST_COMMANDS, web=command in ("run", "test", "chaos"))
    except Stop as stop:
        print(stop, file=sys.stderr)
        return 1
    os.chdir(str(ROOT))
    argv = [str(python), "-m", "infra.cli", *(arguments or ["run"])]
    os.execv(argv[0], argv)  # noqa: S606 - the interpreter just made, no shell
    return 0


def prepare(*, test: bool, web: bool, root: Path = ROOT) -> Path:
    """Make `.venv` hold the lock and the pages their files; returns the interpreter. Raises Stop with words."""
    lock = root / ("infra/requirements-test.lock" if test else "requirements.lock")
    venv = root / ".venv"
    with only_one(root / ".cache" / "bootstrap.lock"):
        if not (venv_works(venv) and lock_hash(lock) in installed(venv)):
            fill(venv, lock, python=None if venv_works(venv) else find_python())
            remember(venv, lock)
        link(venv, root)
        if web:
            try:
                vendor.fetch(root, npm_commands=vendor.npm_commands(venv), say=say)
            except vendor.Missing as missing:
                raise Stop(str(missing)) from missing
    return venv / "bin" / "python"


def say(words: str) -> None:
    """One line of progress."""
    print(f"· {words}", flush=True)


@contextlib.contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Let two bootstraps of one folder (`make run` and `make test`) follow each other."""
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# ---- Python ----


def candidates(environ: Mapping[str, str]) -> list[str]:
    """Interpreters to try, best first: our own, then by version on PATH and in pyenv, then python3."""
    home = Path(environ.get("HOME") or "~").expanduser()
    pyenv = Path(environ.get("PYENV_ROOT") or home / ".pyenv")
    found = [sys.executable or ""]
    for minor in range(HIGHEST[1], LOWEST[1] - 1, -1):
        found.append(shutil.which(f"python3.{minor}", path=environ.get("PATH")) or "")
        if os.access(pyenv, os.R_OK | os.X_OK):
            found += sorted(map(str, pyenv.glob(f"versions/3.{minor}.*/bin/python3.{minor}")), reverse=True)
    found.append(shutil.which("python3", path=environ.get("PATH")) or "")
    return list(dict.fromkeys(path for path in found if path))


def version_of(python: str) -> tuple[int, int] | None:
    """(major, minor) of an interpreter that really starts and has what pip needs; None otherwise."""
    ask = "import ssl, ctypes, zlib, json, sys; print(json.dumps(sys.version_info[:2]))"
    try:
        answer = subprocess.run([python, "-c", ask], capture_output=True, timeout=30, check=True).stdout
        major, minor = json.loads(answer)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return major, minor


def find_python(environ: Mapping[str, str] = os.environ) -> str:
    """The first candidate of a fitting version. Raises Stop when there is none."""
    for python in candidates(environ):
        version = version_of(python)
        if version and LOWEST <= version <= HIGHEST:
            return python
    raise Stop(NO_PYTHON)


def venv_works(venv: Path) -> bool:
    """Whether the environment's interpreter starts and is of a fitting version."""
    version = version_of(str(venv / "bin" / "python"))
    return version is not None and LOWEST <= version <= HIGHEST


# ---- packages ----


def lock_hash(lock: Path) -> str:
    """What a stamp remembers of a lock file."""
    return hashlib.sha256(lock.read_bytes()).hexdigest()


def installed(venv: Path) -> list[str]:
    """Hashes of the locks that were installed into `venv`."""
    stamp = venv / "usher-locks"
    return stamp.read_text().split() if stamp.exists() else []


def remember(venv: Path, lock: Path) -> None:
    """Stamp `venv` with a lock. The test lock holds the run lock's very pins, so it stands for both."""
    hashes = [lock_hash(lock)]
    run_lock = lock.parent.parent / "requirements.lock"
    if lock.name == "requirements-test.lock" and run_lock.exists():
        hashes.append(lock_hash(run_lock))
    (venv / "usher-locks").write_text("\n".join(hashes) + "\n")


def fill(venv: Path, lock: Path, *, python: str | None) -> None:
    """Make `venv` with `python` (None: it is there already) and install the lock with every hash checked."""
    uv = shutil.which("uv")
    if python:
        say(f"making {venv.name} with {python}")
        make_venv(venv, python, uv=uv)
    say(f"installing packages of {lock.name}")
    if uv:
        command = [uv, "pip", "install", "--quiet", "--python", str(venv / "bin" / "python")]
    else:
        command = [*pip_command(venv), "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    if subprocess.run([*command, "--require-hashes", "-r", str(lock)], cwd="/").returncode:
        raise Stop(f"The packages of {lock.name} could not be installed; the lines above say why.")


def make_venv(venv: Path, python: str, *, uv: str | None) -> None:
    """An environment by uv, by venv, or by venv without pip where ensurepip is missing."""
    shutil.rmtree(str(venv), ignore_errors=True)
    ways = [[python, "-m", "venv", str(venv)], [python, "-m", "venv", "--without-pip", str(venv)]]
    if uv:
        ways.insert(0, [uv, "venv", "--quiet", "--python", python, str(venv)])
    for way in ways:
        if subprocess.run(way, capture_output=True).returncode == 0 and venv_works(venv):
            return
        shutil.rmtree(str(venv), ignore_errors=True)
    raise Stop(NO_VENV)


def pip_command(venv: Path) -> list[str]:
    """A pip that installs into `venv`: its own, else a wheel of pip run from where it lies, else the zipapp."""
    python = str(venv / "bin" / "python")
    if subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode == 0:
        return [python, "-m", "pip"]
    wheel = pip_wheel()
    if wheel:
        return [python, str(Path(wheel) / "pip")]
    zipapp = ROOT / ".cache" / "pip.pyz"
    try:
        if not zipapp.exists():
            say("fetching pip")
            with urllib.request.urlopen(PIP_ZIPAPP, timeout=60) as answer:
                zipapp.write_bytes(answer.read())
    except OSError as error:
        raise Stop(NO_VENV) from error
    return [python, str(zipapp)]


def pip_wheel(environ: Mapping[str, str] = os.environ) -> str | None:
    """A pip wheel that some Python of this machine carries for ensurepip, the newest first."""
    wheels = set(Path("/usr/share/python-wheels").glob("pip-*.whl"))
    for python in candidates(environ):
        library = Path(python).resolve().parent.parent / "lib"
        wheels |= set(library.glob("python3.*/ensurepip/_bundled/pip-*.whl"))
    return str(max(wheels, key=lambda wheel: wheel_version(wheel.name))) if wheels else None


def wheel_version(wheel: str) -> list[int]:
    """The version in a wheel's file name, as numbers that compare."""
    return [int(part) for part in wheel.split("-")[1].split(".") if part.isdigit()]


def link(venv: Path, root: Path) -> None:
    """Make the project importable from anywhere and put `usher` on the environment's path."""
    for packages in (venv / "lib").glob("python3.*/site-packages"):
        write_if_changed(packages / "usher.pth", f"{root}\n")
    script = f'#!/bin/sh\nexec "{venv}/bin/python" -m infra.cli "$@"\n'
    write_if_changed(venv / "bin" / "usher", script)
    (venv / "bin" / "usher").chmod(0o755)


def write_if_changed(path: Path, text: str) -> None:
    """Leave a file alone that is right already, so a read-only environment may be used."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
