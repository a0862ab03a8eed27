"""A small HTTP/1.1 client for one inference server: pooled connections, answers read as they arrive.

Own code because it is on the path of every streamed event: 20 µs of CPU an event through the whole relay, where
aiohttp took 26-39 and httpx 73 (DESIGN §7).

    address      the upstream's URL, taken apart
    response     one answer: parsed, buffered within bounds, read piece by piece
    connection   one TCP connection, one exchange at a time
    pool         Upstream: takes, makes, retires and retries connections
"""

from __future__ import annotations

from guard.upstream.faults import UpstreamBusy, UpstreamTimeout, UpstreamUnreachable
from guard.upstream.pool import Upstream
from guard.upstream.response import Response

__all__ = ["Response", "Upstream", "UpstreamBusy", "UpstreamTimeout", "UpstreamUnreachable"]
