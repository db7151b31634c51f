"""The programs a bench needs besides Usher, each with the line that installs it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping

#: Folders that a normal user's PATH lacks on Debian.
_ALSO = ("/usr/sbin", "/usr/local/sbin", "/sbin")
PACKAGES = {"nginx": "nginx", "wrk": "wrk"}


class Missing(Exception):
    """A program is not installed; the words say what installs it."""


def find(*names: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The paths of programs. Raises Missing, naming all that are not there."""
    path = os.pathsep.join((environ.get("PATH", ""), *_ALSO))
    found = {name: shutil.which(name, path=path) for name in names}
    if absent := [name for name, program in found.items() if not program]:
        line = " ".join(PACKAGES[name] for name in absent)
        raise Missing(f"This bench needs {' and '.join(absent)}: apt install {line}")
    return {name: program for name, program in found.items() if program}


def version(program: str, *arguments: str) -> str:
    """The first line in which a program names its version; many write it to standard error, some end badly after."""
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    return next((line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()), program)
