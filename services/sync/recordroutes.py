"""`/v1/records`: what a client writes and reads by id."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import Field, StringConstraints

from services.store import accounts, records
from services.sync.clientrecords import ClientRecord, RecordBody, RecordResult, put_records, record_body
from services.sync.context import service, who
from services.sync.fields import Body, Identifier, Reply
from services.sync.operation import operation
from services.sync.problems import Problem
from services.sync.wire import reply

blueprint = APIBlueprint("records", __name__, abp_tags=[Tag(name="records")])


class Records(Body):
    """Records to be stored; the highest version of each id wins."""

    records: Annotated[list[ClientRecord], Field(min_length=1, max_length=1000)]


class RecordResults(Reply):
    """What became of each, in order."""

    results: list[RecordResult]


class RecordPath(Body):
    """A record's id."""

    record_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class ClientPath(Body):
    """A client's own id of a record."""

    client_record_id: Identifier


class VersionQuery(Body):
    """The version that deletes: higher than the one that is stored."""

    version: Annotated[int, Field(ge=0, le=2**53 - 1)]


@operation(blueprint, "post", "/v1/records", scopes=("watch", "companion"), reply=RecordResults)
def post_records(body: Records) -> Response:
    """Write records"""
    access = who()

    def work(conn: Any) -> list[dict[str, Any]] | None:
        if accounts.lock_user(conn, access.user_id) is None:
            return None
        return put_records(conn, access.user_id, access.device_id, body.records)

    results = service().store.write(work)
    if results is None:
        raise Problem("unauthorized", "this account is no more; make a new one and sign in again")
    return reply({"results": results})


@operation(blueprint, "get", "/v1/records/<record_id>", scopes=("companion", "watch"), reply=RecordBody, refuses=(404,))
def get_record(path: RecordPath) -> Response:
    """Read one record, a tombstone too"""
    user_id, key = who().user_id, bytes.fromhex(path.record_id)
    found = service().store.read(lambda conn: records.by_id(conn, user_id, [key]))
    if key not in found:
        raise Problem("not-found", "the user has no such record; GET /v1/changes lists all")
    return reply(record_body(found[key]))


@operation(
    blueprint, "delete", "/v1/records/client/<client_record_id>", scopes=("watch", "companion"), reply=RecordBody,
    refuses=(404, 409),
)  # fmt: skip
def delete_record(path: ClientPath, query: VersionQuery) -> Response:
    """Delete a record that this client wrote; its tombstone stays in the feed"""
    access = who()
    key = records.client_id(access.user_id, access.device_id or "companion", path.client_record_id)

    def work(conn: Any) -> tuple[str, records.Record] | None:
        accounts.lock_user(conn, access.user_id)
        current = records.by_id(conn, access.user_id, [key]).get(key)
        if current is None:
            return None
        version = current.client_record_version or 0
        if query.version <= version:
            return ("same" if query.version == version and current.deleted else "stale"), current
        buried = records.tombstone(records.with_version(current, query.version))
        records.put(conn, access.user_id, [buried], {key: current})
        return "done", records.by_id(conn, access.user_id, [key])[key]

    outcome = service().store.write(work)
    if outcome is None:
        raise Problem(
            "not-found", "this client wrote no such record; GET /v1/changes lists all, with the client's own ids"
        )
    if outcome[0] == "stale":
        raise Problem(
            "version-conflict", "a version as high is stored; delete with a higher one", record=record_body(outcome[1])
        )
    return reply(record_body(outcome[1]))
