"""The command line of the standalone program."""

from .commands import main

__all__ = ["main"]
