"""`guard`: the commands."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final

from guard.errors import GuardError

COMMANDS: Final = {
    "serve": ("guard.serve", "stand in front of an inference server and guard its answers"),
    "scan": ("guard.scan", "look for runs of indexed works in files"),
    "demo": ("guard.demo", "see it work, with nothing else installed"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status: the command's own; 2 for a usage or set-up error, told in one line."""
    parser = argparse.ArgumentParser(prog="guard", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary)
        import_module(module).add_arguments(command)
        command.set_defaults(run=import_module(module).run)
    args = parser.parse_args(argv)
    try:
        return int(args.run(args))
    except GuardError as error:
        print(f"guard {args.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
