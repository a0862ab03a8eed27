"""Every metric, in one place. Counted once a request, not once an event: the hot path counts in plain integers."""

from __future__ import annotations

import enum
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest


class Outcome(enum.StrEnum):
    """How a guarded answer ended."""

    CLEAN = "clean"
    REDACTED = "redacted"
    BLOCKED = "blocked"
    FAILED_CLOSED = "failed_closed"
    UPSTREAM_ERROR = "upstream_error"
    CLIENT_LEFT = "client_left"


class Metrics:
    """The metrics of one guard; a registry of its own keeps vLLM's apart when both share a process."""

    def __init__(self) -> None:
        registry: Final = CollectorRegistry()
        self.registry = registry
        self.requests = Counter(
            "guard_requests",
            "Requests by route (denied ones under 'other') and outcome.",
            ["route", "outcome"],
            registry=registry,
        )
        self.open_streams = Gauge("guard_open_answers", "Guarded answers under way.", registry=registry)
        self.events = Counter("guard_events", "Server-sent events scanned.", registry=registry)
        self.matches = Counter("guard_matches", "Matches that were acted on.", ["action"], registry=registry)
        self.letters = Counter(
            "guard_matched_letters", "Letters in matches that were acted on.", ["action"], registry=registry
        )
        self.failures = Counter(
            "guard_fail_closed",
            "Answers ended as a block because they couldn't be checked.",
            ["reason"],
            registry=registry,
        )
        self.withheld_fields = Counter(
            "guard_withheld_fields",
            "Fields taken out of answers because the guard doesn't know them.",
            registry=registry,
        )
        self.index_works = Gauge("guard_index_works", "Works in the index.", registry=registry)
        self.index_bytes = Gauge("guard_index_bytes", "Size of the index.", registry=registry)

    def page(self) -> bytes:
        """The metrics in Prometheus' text format."""
        return generate_latest(self.registry)
