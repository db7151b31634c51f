"""The `usher` command: one module a group of subcommands, words instead of tracebacks."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import cast

from rich.console import Console

from infra.cli import parser
from infra.stack.child import ChildDied
from shared.errors import UsherError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; returns the exit status: 0 done, 1 refused with words, 2 a bad argument."""
    options = parser.parse(sys.argv[1:] if arguments is None else list(arguments))
    try:
        return act(options.act)(options)
    except (UsherError, ChildDied) as error:
        Console(stderr=True).print(str(error), markup=False, style="red", highlight=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        return 130


def act(name: str) -> Callable[[argparse.Namespace], int]:
    """The function behind `module:function`; only its module is imported, so that `usher run` starts quickly."""
    module, _, function = name.partition(":")
    return cast(Callable[[argparse.Namespace], int], getattr(import_module(f"infra.cli.{module}"), function))
