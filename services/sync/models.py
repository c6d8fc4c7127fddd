"""Models over the air: the right bundle for a class of device, with hash and signature, in ranges."""

from __future__ import annotations

import io
import json
from dataclasses import asdict
from typing import Annotated, Any, Literal

from flask import Response, request, send_file
from flask_openapi3 import APIBlueprint, Tag
from pydantic import Field, StringConstraints

from services.store import releases, rollouts
from services.sync.context import service, who
from services.sync.fields import Body, Identifier, Reply
from services.sync.operation import operation
from services.sync.problems import Problem
from services.sync.wire import reply

blueprint = APIBlueprint("models", __name__, abp_tags=[Tag(name="models")])
_BYTES = {"application/octet-stream": {"schema": {"type": "string"}}}
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,47}$")]


class TaskPath(Body):
    """A task's name."""

    task: Slug


class FilePath(Body):
    """A task's name and a version."""

    task: Slug
    version: Identifier


class DeviceQuery(Body):
    """What the device is; its memory in bytes if that is a limit."""

    device_class: Slug = "any"
    memory_bytes: Annotated[int, Field(ge=0, le=2**40)] | None = None


class ModelReply(Reply):
    """A release. The Ed25519 signature covers `wristwise-model/1`, task, class, version, sha256, one a line."""

    task: str
    device_class: str
    version: str
    sha256: str
    signature: str
    size: int
    url: str
    sensors: list[str] = Field(description="channels that the task must have")
    card: dict[str, Any]


class RolloutEntry(Reply):
    """One task on one device."""

    task: str
    runs: str | None = Field(description="version that the device said it runs")
    offered: str | None = Field(description="version that it is offered now")
    percent: int | None = Field(description="share of the devices that get the offered version")
    withdrawn: bool = Field(description="whether the version that it runs was taken back")
    state: Literal["current", "waiting", "refused", "not offered"]
    failures: dict[str, str] = Field(description="versions that the device refused, with its reasons")


class DeviceRollouts(Reply):
    """One device."""

    device_id: str
    tasks: list[RolloutEntry]


class RolloutReply(Reply):
    """The user's devices."""

    devices: list[DeviceRollouts]


@operation(blueprint, "get", "/v1/rollouts", scopes=("companion",), reply=RolloutReply)
def get_rollouts() -> Response:
    """See which model each device runs, is offered, and would not take"""
    found = service().store.read(lambda conn: rollouts.rollouts(conn, who().user_id))
    return reply({"devices": [{"device_id": d, "tasks": [asdict(t) for t in tasks]} for d, tasks in found.items()]})


@operation(blueprint, "get", "/v1/models/<task>", scopes=("watch", "companion"), reply=ModelReply, refuses=(404,))
def get_model(path: TaskPath, query: DeviceQuery) -> Response:
    """Ask which model this device shall have"""
    access = who()
    device = access.device_id or access.client_id
    row = service().store.read(lambda c: releases.offered(c, path.task, query.device_class, device, query.memory_bytes))
    if row is None:
        raise Problem("not-found", "no model of this task is offered to this class of device; ask for another class")
    card = json.loads(row.card)
    return reply(
        {
            "task": row.task, "device_class": row.device_class, "version": row.version, "sha256": row.sha256,
            "signature": row.signature, "size": int(card.get("sizes", {}).get("tflite_bytes", 0)),
            "url": f"/v1/models/{row.task}/{row.version}/file", "sensors": card.get("sensors", []), "card": card,
        },
        headers={"ETag": f'"{row.sha256}"'},
    )  # fmt: skip


@operation(
    blueprint, "get", "/v1/models/<task>/<version>/file", scopes=("watch", "companion"),
    media=("application/octet-stream",), refuses=(404, 412, 416),
    others={206: {"description": "Part of the file", "content": _BYTES}, 304: {"description": "Not changed"}},
)  # fmt: skip
def get_file(path: FilePath) -> Response:
    """Fetch a model's file, whole or in ranges"""
    row = service().store.read(lambda c: releases.file(c, path.task, path.version))
    if row is None:
        raise Problem("not-found", "this version is not offered (any more); ask GET /v1/models/{task} which is")
    response = send_file(
        io.BytesIO(row.data), "application/octet-stream", etag=row.sha256, conditional=False, max_age=86400
    )
    response.headers["Wristwise-Signature"] = row.signature
    response.make_conditional(request.environ, accept_ranges=True, complete_length=len(row.data))
    return response
