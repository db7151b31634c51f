"""`python -m infra.cli`: the `usher` command without its script."""

import sys

from infra.cli import main

if __name__ == "__main__":
    sys.exit(main())
