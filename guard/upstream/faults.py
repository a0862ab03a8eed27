"""How an upstream fails, as far as a client is told apart; everything else is a plain UpstreamError."""

from __future__ import annotations

from guard.errors import UpstreamError


class UpstreamUnreachable(UpstreamError):
    """No connection: refused, no route, no such name, or TLS failed. The request was not sent."""


class UpstreamTimeout(UpstreamError):
    """No connection within the time allowed. The request was not sent."""


class UpstreamBusy(UpstreamError):
    """As many connections are open as allowed. The request was not sent."""
