"""`guard demo`: an index of sample works, a model that has memorised them, and the guard in front of it.

Only the argument parser lives here: the `guard` command imports this package for every one of its subcommands, and the
stand-in model imports it in a process of its own. What the demo needs is imported when it runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of `guard demo`."""
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="build the index of the sample works in DIR and leave it there"
    )
    parser.add_argument(
        "--token-ms",
        type=float,
        default=8.0,
        metavar="MS",
        help="milliseconds that the stand-in model takes for a token (default: %(default)g)",
    )


def run(args: argparse.Namespace) -> int:
    """Play the demo on standard output; 0 if the guard did what it promises, 1 if not, 130 if interrupted."""
    from guard.demo.show import play

    keep: Path | None = args.keep
    return play(keep=keep, token_ms=args.token_ms)
