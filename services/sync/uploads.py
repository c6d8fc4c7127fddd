"""Resumable uploads, after the IETF's draft: announce, send parts at an offset, ask where it stands, complete."""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgpack
from flask import Response, request
from flask_openapi3 import APIBlueprint, RawModel, Tag
from pydantic import Field, StringConstraints, ValidationError

from services.store import uploads
from services.store.accounts import Access
from services.sync import batches
from services.sync.context import service, who
from services.sync.fields import MAX_INT, Body, Reply
from services.sync.operation import operation
from services.sync.problems import Problem, describe
from services.sync.wire import WireRequest, reply

blueprint = APIBlueprint("uploads", __name__, abp_tags=[Tag(name="uploads")])
# The second is the draft's own name for it.
PART_TYPES = ("application/octet-stream", "application/partial-upload")


class UploadRequest(Body):
    """How many bytes will come: batches in MessagePack, one after the other."""

    length: Annotated[int, Field(ge=1, le=2**40, strict=True)]


class UploadPath(Body):
    """An upload's id."""

    upload_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class OffsetQuery(Body):
    """Where the part begins; must be where the upload stands."""

    offset: Annotated[int, Field(ge=0, le=MAX_INT)]


class UploadReply(Reply):
    """Where an upload stands."""

    upload_id: str
    offset: int
    length: int
    complete: bool


class UploadOutcome(Reply):
    """What became of each batch in the upload, in order."""

    batches: list[batches.BatchReply]


class Part(RawModel):
    """Bytes."""

    mimetypes = [PART_TYPES[0]]  # noqa: RUF012 (the framework's own way)


@operation(blueprint, "post", "/v1/uploads", scopes=("watch",), reply=UploadReply, status=201, refuses=(409,))
def post_upload(body: UploadRequest) -> Response:
    """Announce a large upload"""
    access, parts = who(), service()
    limit = parts.settings.max_upload

    def work(conn: Any) -> str | None:
        if uploads.held_bytes(conn, access.user_id) + body.length > limit:
            return None
        return uploads.begin(conn, access.user_id, access.device_id or "", "application/msgpack", body.length)

    if body.length > limit:
        raise Problem("too-large", f"an upload may have {limit} bytes; send several", limit=limit)
    upload_id = parts.store.write(work)
    if upload_id is None:
        raise Problem("conflict", "too much is being uploaded already; complete or delete what is open")
    answer = {"upload_id": upload_id, "offset": 0, "length": body.length, "complete": False}
    return reply(answer, 201, {"Location": f"/v1/uploads/{upload_id}", "Upload-Offset": "0"})


@operation(blueprint, "get", "/v1/uploads/<upload_id>", scopes=("watch",), reply=UploadReply, refuses=(404,))
def get_upload(path: UploadPath) -> Response:
    """Ask where an upload stands"""
    access = who()
    row = service().store.read(lambda conn: _find(conn, access, path.upload_id))
    return _state(row, row.offset)


@operation(blueprint, "patch", "/v1/uploads/<upload_id>", scopes=("watch",), reply=UploadReply, refuses=(404, 409, 410))
def patch_upload(path: UploadPath, query: OffsetQuery, raw: Part) -> Response:  # noqa: ARG001 (read below)
    """Send the next part"""
    if request.mimetype not in PART_TYPES:
        raise Problem(
            "unsupported-media-type", f"the part came as {request.mimetype[:64]!r}; send it as {PART_TYPES[0]}"
        )
    assert isinstance(request, WireRequest)
    data, access = request.content(), who()

    def work(conn: Any) -> Any:
        row = _find(conn, access, path.upload_id)
        if row.state != "open":
            return row, "done"
        if query.offset != row.offset or row.offset + len(data) > row.length:
            return row, "offset"
        return row, uploads.append(conn, access.user_id, path.upload_id, query.offset, data)

    row, outcome = service().store.write(work)
    if outcome == "done":
        raise Problem("gone", "this upload is complete; begin another")
    if outcome == "offset":
        raise Problem(
            "offset-conflict", f"the upload stands at {row.offset} of {row.length}; go on from there",
            {"Upload-Offset": str(row.offset)}, offset=row.offset,
        )  # fmt: skip
    return _state(row, outcome)


@operation(
    blueprint,
    "post",
    "/v1/uploads/<upload_id>/complete",
    scopes=("watch",),
    reply=UploadOutcome,
    refuses=(404, 409, 413),
)
def complete_upload(path: UploadPath) -> Response:
    """Say that all has come; the batches in it are judged as by POST /v1/batches"""
    access, store = who(), service().store
    row = store.read(lambda conn: _find(conn, access, path.upload_id))
    if row.state == "done":
        return reply(json.loads(row.reply))
    if row.offset != row.length:
        raise Problem(
            "offset-conflict", f"{row.offset} of {row.length} bytes have come; send the rest first", offset=row.offset
        )
    content = store.read(lambda conn: uploads.content(conn, access.user_id, path.upload_id))
    # Chunks know themselves: a repeated completion finds duplicates and stores nothing twice.
    outcome = {"batches": [batches.accept(access.user_id, batch) for batch in _batches(content, access.device_id)]}
    store.write(lambda conn: uploads.finish(conn, access.user_id, path.upload_id, json.dumps(outcome)))
    return reply(outcome)


@operation(blueprint, "delete", "/v1/uploads/<upload_id>", scopes=("watch",), status=204, refuses=(404,))
def delete_upload(path: UploadPath) -> Response:
    """Give an upload up"""
    user_id = who().user_id
    if not service().store.write(lambda conn: uploads.drop(conn, user_id, path.upload_id)):
        raise Problem("not-found", "there is no such upload; begin one with POST /v1/uploads")
    return Response(status=204)


def _find(conn: Any, access: Access, upload_id: str) -> Any:
    row = uploads.find(conn, access.user_id, upload_id)
    if row is None or row.device_id != access.device_id:
        raise Problem("not-found", "there is no such upload; begin one with POST /v1/uploads")
    return row


def _state(row: Any, offset: int) -> Response:
    answer = {"upload_id": row.upload_id, "offset": offset, "length": row.length, "complete": row.state == "done"}
    return reply(answer, headers={"Upload-Offset": str(offset)})


def _batches(content: bytes, device_id: str | None) -> list[batches.Batch]:
    unpacker = msgpack.Unpacker(strict_map_key=True, max_buffer_size=len(content))
    unpacker.feed(content)
    try:
        found = [batches.Batch.model_validate(item) for item in unpacker]
    except ValidationError as error:
        raise Problem("invalid", describe(error)) from error
    except (ValueError, msgpack.UnpackException) as error:
        raise Problem(
            "malformed-body", "the upload is not batches in MessagePack, one after the other; begin another"
        ) from error
    if any(batch.device_id != device_id for batch in found):
        raise Problem(
            "forbidden", "a batch names another device than the one that sent it; begin another upload without it"
        )
    return found
