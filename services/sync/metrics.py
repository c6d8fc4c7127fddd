"""Prometheus metrics of one process: what was asked, how long it took, what waits. Never a health value."""

from __future__ import annotations

import time

from flask import Flask, Response, g, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The figures of one app."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("endpoint", "method", "status")
        self.requests = Counter("wristwise_requests", "Requests answered", labels, registry=self.registry)
        self.seconds = Histogram(
            "wristwise_request_seconds", "Time to answer", ("endpoint",), buckets=_BUCKETS, registry=self.registry
        )
        self.chunks = Counter("wristwise_chunks", "Chunks judged", ("status",), registry=self.registry)
        self.samples = Counter("wristwise_samples", "Samples stored", registry=self.registry)
        self.jobs = Gauge("wristwise_jobs", "Jobs in the table", ("state",), registry=self.registry)


def measure(app: Flask, metrics: Metrics) -> None:
    """Count and time every request to `app`."""

    def start() -> None:
        g.started = time.perf_counter()

    def end(response: Response) -> Response:
        endpoint = request.endpoint or "unknown"
        metrics.requests.labels(endpoint, request.method, str(response.status_code)).inc()
        if "started" in g:
            metrics.seconds.labels(endpoint).observe(time.perf_counter() - g.started)
        return response

    app.before_request(start)
    app.after_request(end)
