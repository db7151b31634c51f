"""`python3 -m infra run|test|check|…` on any Python 3: makes what is missing, then hands over to the `usher` CLI."""

import sys

if sys.version_info < (3, 8):  # noqa: UP036 - said in words instead of a syntax error on an old machine
    sys.exit("Usher needs Python 3.11, 3.12 or 3.13, and a Python of at least 3.8 to find it with: python3 is older.")

from infra.bootstrap import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
