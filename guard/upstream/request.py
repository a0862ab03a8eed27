"""The head of a request, as bytes."""

from __future__ import annotations

from collections.abc import Sequence

from guard.upstream.address import Address

METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


def request_head(
    address: Address, method: str, target: bytes, headers: Sequence[tuple[bytes, bytes]], body_bytes: int
) -> bytes:
    """Request line, `host`, `headers` as given, `content-length` where there is or should be a body.

    Raises ValueError where a part holds a line break, or method or target a space: else it could hold a second request.
    """
    lines = [b"%b %b%b HTTP/1.1" % (method.encode(), address.prefix, target), b"host: " + address.host_header]
    lines += [b"%b: %b" % pair for pair in headers]
    if body_bytes or method in METHODS_WITH_BODY:
        lines.append(b"content-length: %d" % body_bytes)
    lines.append(b"\r\n")
    head = b"\r\n".join(lines)
    breaks = len(lines)
    if head.count(b"\n") != breaks or head.count(b"\r") != breaks or lines[0].count(b" ") != 2 or b"\0" in head:
        raise ValueError(f"a line break, a NUL or a space inside a part of the request {lines[0]!r}")
    return head
