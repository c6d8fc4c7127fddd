"""What was refused: listed for the wearer, replayed by the engineer, thrown away on request."""

from __future__ import annotations

import json
import uuid
from typing import Annotated, Any

import msgpack
from flask import Response, g, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import Field, StringConstraints, ValidationError

from services.store import accounts, intake, vault
from services.sync import batches
from services.sync.context import service, who
from services.sync.fields import Body, Reply, from_us
from services.sync.operation import operation
from services.sync.problems import Problem, describe
from services.sync.wire import WireRequest, parse_json, parse_msgpack, reply

blueprint = APIBlueprint("quarantine", __name__, abp_tags=[Tag(name="quarantine")])
# A whole request that could not be read is kept under this name of a stream.
WHOLE_REQUEST = ""


class ItemPath(Body):
    """An item's id."""

    item_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class ItemsQuery(Body):
    """How many."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class Item(Reply):
    """One thing that was refused; a whole request has neither boot, stream nor seq."""

    id: str
    device_id: str
    boot_id: str | None
    stream: str | None
    seq: int | None
    problem: str
    detail: str
    received: str
    size: int


class Items(Reply):
    """What is kept, newest first."""

    items: list[Item]


@operation(blueprint, "get", "/v1/quarantine", scopes=("companion", "watch"), reply=Items)
def get_items(query: ItemsQuery) -> Response:
    """List what was refused"""
    user_id = who().user_id
    rows = service().store.read(lambda conn: vault.items(conn, user_id, query.limit))
    entries = [
        {
            "id": r.item_id, "device_id": r.device_id, "boot_id": r.boot_id or None, "stream": r.stream or None,
            "seq": r.seq, "problem": r.problem, "detail": r.detail, "received": from_us(r.received_us),
            "size": len(r.payload),
        }
        for r in rows
    ]  # fmt: skip
    return reply({"items": entries})


@operation(
    blueprint, "get", "/v1/quarantine/<item_id>", scopes=("companion",), media=("application/octet-stream",),
    refuses=(404,),
)  # fmt: skip
def get_item(path: ItemPath) -> Response:
    """Fetch what was refused, byte by byte"""
    row = _find(path.item_id)
    return Response(row.payload, content_type="application/octet-stream")


@operation(
    blueprint, "post", "/v1/quarantine/<item_id>/replay", scopes=("companion",), reply=batches.BatchReply,
    refuses=(404, 413),
)  # fmt: skip
def replay(path: ItemPath) -> Response:
    """Judge a refused item again, as this version of the service does"""
    row = _find(path.item_id)
    user_id = who().user_id
    outcome = batches.accept(user_id, _as_batch(row))
    if all(r["status"] != "rejected" for r in outcome["results"]):
        service().store.write(lambda conn: vault.drop(conn, user_id, path.item_id))
    return reply(outcome)


@operation(blueprint, "delete", "/v1/quarantine/<item_id>", scopes=("companion",), status=204, refuses=(404,))
def delete_item(path: ItemPath) -> Response:
    """Throw a refused item away"""
    user_id = who().user_id
    if not service().store.write(lambda conn: vault.drop(conn, user_id, path.item_id)):
        raise Problem("not-found", "nothing is kept under this id; GET /v1/quarantine lists what is")
    return Response(status=204)


def _find(item_id: str) -> Any:
    user_id = who().user_id
    row = service().store.read(lambda conn: vault.item(conn, user_id, item_id))
    if row is None:
        raise Problem("not-found", "nothing is kept under this id; GET /v1/quarantine lists what is")
    return row


def _as_batch(row: Any) -> batches.Batch:
    if row.stream != WHOLE_REQUEST or row.boot_id:
        chunk = msgpack.unpackb(row.payload, strict_map_key=False)
        return batches.Batch.model_construct(
            batch_id=str(uuid.uuid4()), device_id=row.device_id, chunks=[chunk], records=[], clocks=[], status=None
        )  # fmt: skip
    try:
        content = parse_json(row.payload) if row.payload[:1] == b"{" else parse_msgpack(row.payload)
        batch = batches.Batch.model_validate(content)
    except ValidationError as error:
        raise Problem("invalid", describe(error)) from error
    if batch.device_id != row.device_id:
        raise Problem(
            "forbidden", "the request names another device than the one that sent it; it can only be fetched or deleted"
        )
    return batch


@batches.blueprint.after_request
def keep_refused(response: Response) -> Response:
    """Keep the body of a batch that could not be read at all: a refusal must not cost a night."""
    access = g.get("access")
    body = getattr(request, "read_content", None) if isinstance(request, WireRequest) else None
    if response.status_code not in (400, 422) or access is None or not body:
        return response
    problem = json.loads(response.get_data())
    item = {
        "device_id": access.device_id or "", "boot_id": "", "stream": WHOLE_REQUEST, "seq": None,
        "problem": problem["type"], "detail": problem["detail"], "payload": body,
    }  # fmt: skip
    limit = service().settings.quarantine_bytes
    parts = service()

    def put(conn: Any) -> str | None:
        if accounts.lock_user(conn, access.user_id) is None or vault.size(conn, access.user_id) + len(body) > limit:
            return None
        return intake.put_quarantine(conn, access.user_id, item)

    problem["quarantine"] = parts.store.write(put)
    response.set_data(json.dumps(problem))
    return response
