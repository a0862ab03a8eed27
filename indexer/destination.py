"""The folder that an index goes into: made if need be, and left as it was found if the build fails."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from guard.errors import GuardError
from guard.index.file import MANIFEST


class DestinationError(GuardError):
    """An index can't be written there."""


@contextlib.contextmanager
def destination(out: Path) -> Iterator[None]:
    """Make the folder; those made are removed again if nothing was written into them. Raises DestinationError if it
    can't be made, or holds a manifest of something else, which writing an index would destroy.
    """
    made = [folder for folder in (out, *out.absolute().parents) if not folder.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DestinationError(f"{out}: no index can be written there ({error.strerror}): give another --out") from None
    _check_is_ours(out)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # not empty: as it should be
            for folder in made:
                folder.rmdir()


def _check_is_ours(out: Path) -> None:
    manifest = out / MANIFEST
    try:
        fields = json.loads(manifest.read_bytes())
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        fields = None
    ours = isinstance(fields, dict) and str(fields.get("format", "")).startswith("regurgitation-guard")
    if not ours and not any(out.glob("segment-*.rgs")):  # a damaged index may be built anew
        raise DestinationError(f"{manifest} belongs to something else: it isn't overwritten; give another --out")
