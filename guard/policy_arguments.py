"""The policy's flags, the same for every command that takes a policy."""

from __future__ import annotations

import argparse

from guard.config import Settings


def add_policy_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags without a value stay None, so that lower sources (environment, file, default) can speak."""
    for key, kind in (("action", str), ("threshold", int), ("hold_after", int), ("marker", str)):
        field = Settings.model_fields[key]
        text = f"{field.description} (default: {field.default})"
        parser.add_argument("--" + key.replace("_", "-"), type=kind, metavar=key.upper(), help=text)
