"""The upstream's URL, taken apart once."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from guard.errors import ConfigError

DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Address:
    """Where the upstream is: `host` without brackets, `prefix` the path in front of every target (b"" or b"/…")."""

    host: str
    port: int
    tls: bool
    prefix: bytes
    host_header: bytes

    @classmethod
    def parse(cls, url: str) -> Address:
        """Of `http[s]://host[:port][/prefix]`. Raises ConfigError, which never quotes a password."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise _refused(f"is no URL ({error})") from error
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
            raise _refused("needs http:// or https:// and a host")
        if parts.username is not None or parts.query or parts.fragment:
            raise _refused("can't hold a user name, a query or a fragment")
        if not url.isascii() or any(character.isspace() for character in url):
            raise _refused("holds a space or a non-ASCII character: write the host in its xn-- form")
        bracketed = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return cls(
            host=parts.hostname,
            port=port if port is not None else DEFAULT_PORTS[parts.scheme],
            tls=parts.scheme == "https",
            prefix=parts.path.rstrip("/").encode(),
            host_header=(bracketed if port is None else f"{bracketed}:{port}").encode(),
        )

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def _refused(reason: str) -> ConfigError:
    return ConfigError(f"The upstream's address {reason}; write it like http://127.0.0.1:8000")
