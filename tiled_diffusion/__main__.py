"""Lets `python -m tiled_diffusion` run the command line of the standalone program."""

import sys

from .standalone.cli.commands import main

if __name__ == "__main__":
    sys.exit(main())
