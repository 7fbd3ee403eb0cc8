"""``python -m pytest_archcheck`` is the command ``archcheck``."""

import sys

from pytest_archcheck.cli import main

if __name__ == "__main__":
    sys.exit(main())
