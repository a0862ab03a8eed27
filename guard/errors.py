"""Every error this project raises on purpose, under one root.

Messages say what happened, where (file, line, key), and what to do about it.
"""

from __future__ import annotations


class GuardError(Exception):
    """Root of all errors raised on purpose; its text is written for the operator."""


class IndexFormatError(GuardError):
    """An index is missing, damaged, truncated, or of a version this reader doesn't know."""


class ConfigError(GuardError):
    """A setting is unknown, has a bad value, or contradicts another."""


class PolicyError(ConfigError):
    """A policy that can't be kept, such as a threshold below what the index can see."""


class UpstreamError(GuardError):
    """The inference server couldn't be reached, broke off, or spoke malformed HTTP."""


class WorkRefused(GuardError):
    """One work can't be indexed; the others are built.

    `source` says where the work came from (path, or path:line), `reason` why it was refused and what to do.
    """

    def __init__(self, source: str, reason: str) -> None:
        super().__init__(f"{source}: {reason}")
        self.source = source
        self.reason = reason


class WireError(GuardError):
    """An answer of the inference server isn't what its dialect says, so its text can't be checked."""


class RequestRefused(GuardError):
    """A request that the guard doesn't let through; `code` is the machine-readable reason, `parameter` the field."""

    def __init__(self, message: str, code: str, parameter: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.parameter = parameter
