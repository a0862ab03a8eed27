"""What a relay costs for each streamed event: CPU of its processes, and resident memory of each open stream.

    python tests/bench/relay.py --streams 100 --rate 50 --seconds 10 [--guard-index DIR] [--only nginx,proxy,guard]

Three parties, each a process of its own: an upstream that streams vLLM-like chat events, the relay, and this one, which
opens the streams and counts what arrives. CPU time is the relay's user and system time from /proc over the run.
Memory is measured apart, with more streams at a lower rate. nginx (Debian: nginx-light) is the yardstick. The row
`direct` has no relay: it shows that upstream and clients keep up, and what an event costs the upstream itself.
On a busy machine all figures grow; compare those of one run.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvloop

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
PATH = "/v1/chat/completions"
BODY = b'{"model":"tiny","messages":[{"role":"user","content":"Tell me about your garden."}],"stream":true}'
REQUEST = b"POST %b HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    PATH.encode(),
    len(BODY),
    BODY,
)
MEMORY_RATE = 2.0
WARM_STREAMS = 20
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
NGINX_CONFIG = """
daemon off; worker_processes 1; pid {folder}/pid; error_log stderr crit; worker_rlimit_nofile 20000;
events {{ worker_connections 10000; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://127.0.0.1:{upstream_port};
            proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
        }}
    }}
}}
"""


@dataclass(frozen=True, slots=True)
class Cost:
    events_per_second: float
    cpu_microseconds_per_event: float
    kilobytes_per_stream: float


class Clients:
    """Streams opened and counted. One event is one `data: `; it may arrive in any cut."""

    def __init__(self) -> None:
        self.events = 0
        self.broken = 0
        self._answered = 0
        self._transports: list[asyncio.Transport] = []

    async def open(self, port: int, streams: int) -> None:
        """Open streams and wait until events arrive on each."""
        loop = asyncio.get_running_loop()
        for _ in range(streams):
            transport, _ = await loop.create_connection(lambda: _Stream(self), "127.0.0.1", port)
            self._transports.append(transport)
            transport.write(REQUEST)
        deadline = loop.time() + 30
        while self._answered < len(self._transports):
            if self.broken or loop.time() > deadline:
                raise SystemExit(
                    f"{self.broken} streams broke, {self._answered} of {len(self._transports)} were answered"
                )
            await asyncio.sleep(0.01)

    def close(self) -> None:
        for transport in self._transports:
            transport.abort()

    def arrived(self, events: int, *, first: bool) -> None:
        self.events += events
        self._answered += first


class _Stream(asyncio.Protocol):
    __slots__ = ("_clients", "_tail", "_waiting")

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._waiting = True
        self._tail = b""

    def data_received(self, data: bytes) -> None:
        data = self._tail + data
        events = data.count(b"data: ")
        self._tail = data[-5:]  # one less than what is counted
        if events:
            self._clients.arrived(events, first=self._waiting)
            self._waiting = False

    def connection_lost(self, _: Exception | None) -> None:
        self._clients.broken += 1


def cpu_seconds(pids: list[int]) -> float:
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])  # utime, stime
    return ticks / TICKS_PER_SECOND


def resident_kilobytes(pids: list[int]) -> int:
    lines = [line for pid in pids for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def with_children(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(descendant for child in children for descendant in with_children(int(child)))]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def running(command: list[str], port: int) -> Iterator[int]:
    """A process that listens on `port`; its id."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])}
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            for _ in range(600):
                if process.poll() is not None:
                    log.seek(0)
                    raise SystemExit(f"ended with status {process.returncode}: {' '.join(command)}\n{log.read()}")
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                time.sleep(0.1)
            yield process.pid
        finally:
            process.terminate()
            process.wait()


Relay = Callable[[int, int, Path], list[str]]
"""(own port, upstream's port, an empty folder) → command."""


def nginx(port: int, upstream_port: int, folder: Path) -> list[str]:
    config = folder / "nginx.conf"
    config.write_text(NGINX_CONFIG.format(port=port, upstream_port=upstream_port, folder=folder))
    return [shutil.which("nginx") or "/usr/sbin/nginx", "-p", str(folder), "-c", str(config)]


def proxy(port: int, upstream_port: int, _: Path) -> list[str]:
    return [sys.executable, str(HERE / "proxy_alone.py"), f"http://127.0.0.1:{upstream_port}", str(port)]


def guard(index: Path) -> Relay:
    def command(port: int, upstream_port: int, _: Path) -> list[str]:
        serve = [sys.executable, "-c", "import sys; from guard.cli import main; sys.exit(main())", "serve"]
        addresses = ["--upstream", f"http://127.0.0.1:{upstream_port}", "--listen", f"127.0.0.1:{port}"]
        return [*serve, "--index", str(index), *addresses, "--action", "redact"]

    return command


async def cpu_of(port: int, pid: int, streams: int, seconds: float) -> tuple[float, float]:
    """(events a second, µs of CPU an event) with `streams` open."""
    clients = Clients()
    await clients.open(port, streams)
    await asyncio.sleep(1.0)
    pids = with_children(pid)
    events, cpu, started = clients.events, cpu_seconds(pids), time.monotonic()
    await asyncio.sleep(seconds)
    events, cpu, elapsed = clients.events - events, cpu_seconds(pids) - cpu, time.monotonic() - started
    if clients.broken:
        raise SystemExit(f"{clients.broken} streams broke")
    clients.close()
    return events / elapsed, cpu / events * 1e6


async def memory_of(port: int, pid: int, streams: int) -> float:
    """kB of resident memory that each stream adds, after a few were open and closed again."""
    warm = Clients()
    await warm.open(port, WARM_STREAMS)
    warm.close()
    await asyncio.sleep(1.0)
    pids = with_children(pid)
    before = resident_kilobytes(pids)
    clients = Clients()
    await clients.open(port, streams)
    await asyncio.sleep(3.0)
    added = resident_kilobytes(pids) - before
    clients.close()
    return added / streams


def measure(relay: Relay | None, options: argparse.Namespace) -> Cost:
    costs: list[float] = []
    for rate in (options.rate, MEMORY_RATE):
        upstream_port, port = free_port(), free_port()
        upstream = [sys.executable, str(HERE / "streaming_upstream.py"), str(upstream_port), str(rate)]
        with running(upstream, upstream_port) as upstream_pid, tempfile.TemporaryDirectory() as folder:
            if relay is None:
                events, cpu = uvloop.run(cpu_of(upstream_port, upstream_pid, options.streams, options.seconds))
                return Cost(events, cpu, float("nan"))
            with running(relay(port, upstream_port, Path(folder)), port) as pid:
                if rate == options.rate:
                    costs += uvloop.run(cpu_of(port, pid, options.streams, options.seconds))
                else:
                    costs.append(uvloop.run(memory_of(port, pid, options.memory_streams)))
    return Cost(*costs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--rate", type=float, default=50.0, help="events a second of each stream")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--memory-streams", type=int, default=1000, help="open while memory is measured")
    parser.add_argument("--guard-index", type=Path, help="adds the row `guard serve` with this index")
    parser.add_argument("--only", help="rows, by the first words of their names, with commas between")
    options = parser.parse_args()

    relays: dict[str, Relay | None] = {"direct": None, "nginx": nginx, "proxy alone": proxy}
    if options.guard_index is not None:
        relays["guard serve"] = guard(options.guard_index)
    if options.only:
        wanted = options.only.split(",")
        relays = {name: relay for name, relay in relays.items() if name.split(" ")[0] in wanted}

    print(f"{options.streams} streams, {options.rate:g} events/s each, {options.seconds:g} s")
    print(
        f"{'relay':<14}{'events/s':>10}{'µs CPU per event':>19}{'times nginx':>14}{'kB RSS per stream':>20}", flush=True
    )
    yardstick = float("nan")
    for name, relay in relays.items():
        cost = measure(relay, options)
        if relay is nginx:
            yardstick = cost.cpu_microseconds_per_event
        times = cost.cpu_microseconds_per_event / yardstick
        print(
            f"{name:<14}{cost.events_per_second:>10.0f}{cost.cpu_microseconds_per_event:>19.1f}{times:>14.2f}"
            f"{cost.kilobytes_per_stream:>20.1f}".replace("nan", "  -"),
            flush=True,
        )


if __name__ == "__main__":
    main()
