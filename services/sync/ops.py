"""For those who run the service: is it alive, is it ready, what can it do."""

from __future__ import annotations

import hmac
import json
from typing import cast

from flask import Response, current_app, request
from flask_openapi3 import APIBlueprint, OpenAPI, Tag
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from services.store import jobs
from services.sync.chunks import MAX_CHANNELS, MAX_CHUNK_BYTES
from services.sync.context import service
from services.sync.fields import Reply
from services.sync.operation import PUBLIC, operation
from services.sync.problems import Problem
from services.sync.wire import JSON, reply

blueprint = APIBlueprint("ops", __name__, abp_tags=[Tag(name="operations")])


class Health(Reply):
    """How the service is."""

    status: str


@operation(blueprint, "get", "/healthz", scopes=PUBLIC, reply=Health)
def healthz() -> Response:
    """Say whether the process lives"""
    return reply({"status": "ok"})


@operation(blueprint, "get", "/readyz", scopes=PUBLIC, reply=Health)
def readyz() -> Response:
    """Say whether the service can take requests"""
    if service().stopping.is_set():
        raise Problem("unavailable", "the service is stopping; ask another one", {"Retry-After": "5"})
    service().store.ping()
    return reply({"status": "ready"})


@operation(blueprint, "get", "/openapi.json", scopes=PUBLIC, media=(JSON,))
def openapi() -> Response:
    """Describe this service (OpenAPI 3.1)"""
    return Response(json.dumps(cast(OpenAPI, current_app).api_doc), content_type=JSON)


@operation(blueprint, "get", "/metrics", scopes=PUBLIC, media=("text/plain",), refuses=(401,))
def metrics() -> Response:
    """Give Prometheus its figures"""
    parts = service()
    token = parts.settings.metrics_token
    if token and not hmac.compare_digest(request.headers.get("Authorization", "").encode(), f"Bearer {token}".encode()):
        raise Problem(
            "unauthorized",
            "the metrics have a bearer token of their own; send that of WRISTWISE_METRICS_TOKEN",
            {"WWW-Authenticate": 'Bearer realm="metrics"'},
        )
    for state, count in parts.store.read(jobs.counts).items():
        parts.metrics.jobs.labels(state).set(count)
    return Response(generate_latest(parts.metrics.registry), content_type=CONTENT_TYPE_LATEST)


class Capabilities(Reply):
    """What this service speaks, and its limits."""

    version: int
    encodings: list[str]
    max_body: int
    max_decompressed: int
    max_chunks: int
    max_channels: int
    max_chunk_bytes: int


@operation(blueprint, "get", "/v1/capabilities", scopes=PUBLIC, reply=Capabilities)
def capabilities() -> Response:
    """Say what is spoken here"""
    settings = service().settings
    return reply(
        {
            "version": 1, "encodings": ["i2", "i4", "f4", "delta-zstd", "delta-zstd-i4"],
            "max_body": settings.max_body, "max_decompressed": settings.max_decompressed,
            "max_chunks": settings.max_chunks, "max_channels": MAX_CHANNELS, "max_chunk_bytes": MAX_CHUNK_BYTES,
        }
    )  # fmt: skip
