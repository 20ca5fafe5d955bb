"""The flags of workers, and what `cluster` says of itself."""

from __future__ import annotations

import argparse
from typing import Any

from tiled_diffusion.errors import TiledError
from tiled_diffusion.standalone.cluster.where import MOST, checked

from .flags import Parser
from .helps import PROGRAM

CLUSTER_HELP = f"""\
Share the work among several GPUs or machines.

  {PROGRAM} cluster start                    on the first machine; prints the line for the others
  {PROGRAM} cluster join HOST:PORT --token T on each of the others
  {PROGRAM} generate "a town" --size 4096x4096 --workers auto
  {PROGRAM} cluster status

start and join go on until Ctrl+C. Several GPUs in one machine need none of this: --workers auto, or --workers 2.
All machines need the same version of this program, the same Python and the model's file at the same place.
"""


def add_workers_flags(parser: Parser) -> None:
    """Of a command that can hand its work to others."""
    group = parser.add_argument_group("workers")
    group.add_argument(
        "--workers", type=_workers, metavar="auto|N|HOST:PORT",
        help="who draws: auto, the cluster of this machine or else all of its GPUs; N processes on this machine, each "
        "with a copy of the model; or a cluster by its address (default: this process alone)",
    )  # fmt: skip
    group.add_argument("--token", metavar="TEXT", help="of the cluster, if this machine has not noted it")


def cluster_parsers(parser: Parser, output_flags: Any) -> None:
    """The commands of `cluster`."""
    actions = parser.add_subparsers(dest="action", metavar="start|join|status", required=True, parser_class=Parser)
    start = actions.add_parser("start", help="begin a cluster on this machine, and print the line for the others")
    join = actions.add_parser("join", help="let this machine work for a cluster")
    status = actions.add_parser("status", help="show machines and workers")
    join.add_argument("address", metavar="HOST:PORT", help="as `cluster start` prints it")
    start.add_argument("--port", type=int, default=6379, metavar="N", help="that others reach it at (default: 6379)")
    for action in (start, join):
        action.add_argument("--host", metavar="ADDRESS", help="of this machine (default: as its network knows it)")
        action.add_argument(
            "--workers", type=count, metavar="N", help="that it holds (default: as many as it has GPUs, or 1)"
        )
    for action in (start, join, status):
        action.add_argument("--token", metavar="TEXT", help="that all machines show each other")
        output_flags(action, None, "")


def _workers(text: str) -> str | int:
    try:
        return checked(text)
    except TiledError as e:
        raise argparse.ArgumentTypeError(str(e).removeprefix("workers: ")) from e


def count(text: str) -> int:
    """A number of workers; argparse shows the error."""
    number = int(text) if text.isdecimal() else 0
    if not 1 <= number <= MOST:
        raise argparse.ArgumentTypeError(f"got {text!r}, allowed is a whole number from 1 to {MOST}")
    return number
