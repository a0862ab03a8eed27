"""A TCP forwarder that keeps what the upstream sent, so that a test can say: these very bytes went in."""

from __future__ import annotations

import http.client
import io
import socket
import threading
from types import TracebackType


class _Recorded:
    """As much of a socket as `http.client` needs to read an answer."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


class Wiretap:
    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._heard = bytearray()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def clear(self) -> None:
        with self._lock:
            self._heard.clear()

    def body(self) -> bytes:
        """The body of the one answer heard since `clear`, dechunked."""
        with self._lock:
            response = http.client.HTTPResponse(_Recorded(bytes(self._heard)))  # type: ignore[arg-type]
        response.begin()
        return response.read()

    def __enter__(self) -> Wiretap:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for end in self._open:
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            upstream = socket.create_connection(("127.0.0.1", self._upstream_port))
            threading.Thread(target=self._serve, args=(client, upstream), daemon=True).start()

    def _serve(self, client: socket.socket, upstream: socket.socket) -> None:
        ends = {client, upstream}
        with self._lock:
            self._open |= ends
        back = threading.Thread(target=self._forward, args=(upstream, client, True), daemon=True)
        back.start()
        self._forward(client, upstream, False)
        back.join()
        with self._lock:
            self._open -= ends
        for end in ends:
            end.close()

    def _forward(self, source: socket.socket, sink: socket.socket, heard: bool) -> None:
        """Until either end leaves; then both are told, so that a client that leaves reaches the upstream."""
        try:
            while data := source.recv(65536):
                if heard:
                    with self._lock:
                        self._heard += data
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
