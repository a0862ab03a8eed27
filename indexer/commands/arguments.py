"""Argument types shared by the subcommands: each says what a bad value should have been."""

from __future__ import annotations

import argparse

from indexer.readers.decode import known_encoding


def positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of 1 or more")
    return number


def rate(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number between 0 and 1, such as 1e-4")
    return number


def text_encoding(text: str) -> str:
    name = known_encoding(text)
    if name is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no text encoding that Python knows, such as cp1252")
    return name
