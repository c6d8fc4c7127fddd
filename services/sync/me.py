"""What is about oneself: take everything away, or have everything deleted."""

from __future__ import annotations

import tempfile

from flask import Response, send_file
from flask_openapi3 import APIBlueprint, Tag

from services.store import people, records
from services.store.accounts import user_name
from services.store.store import now_us
from services.sync.context import service, who
from services.sync.exporting import export_name, write_export
from services.sync.fields import Reply
from services.sync.operation import operation
from services.sync.problems import Problem
from services.sync.wire import reply

blueprint = APIBlueprint("me", __name__, abp_tags=[Tag(name="self")])
_IN_MEMORY = 8 << 20


class Me(Reply):
    """Whose token this is."""

    user_id: str
    scope: str
    device_id: str | None
    records: int


@operation(blueprint, "get", "/v1/me", scopes=("companion", "watch", "caregiver"), reply=Me)
def get_me() -> Response:
    """Say whose token this is"""
    access = who()
    count = service().store.read(lambda c: records.count(c, access.user_id)) if access.scope == "companion" else 0
    return reply(
        {
            "user_id": user_name(access.user_id), "scope": access.scope, "device_id": access.device_id, "records": count
        }
    )  # fmt: skip


@operation(blueprint, "get", "/v1/export", scopes=("companion",), media=("application/zip",))
def get_export() -> Response:
    """Take everything away, as a zip"""
    user_id = who().user_id
    spool = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 (closed with the response)
    try:
        service().store.read(lambda conn: write_export(conn, user_id, spool, service().store.cipher))
    except BaseException:
        spool.close()
        raise
    spool.seek(0)
    response = send_file(spool, "application/zip", as_attachment=True, download_name=export_name(now_us()))
    response.call_on_close(spool.close)
    return response


@operation(blueprint, "delete", "/v1/me", scopes=("companion",), status=204)
def delete_me() -> Response:
    """Delete this account and everything that was ever stored for it"""
    user_id = who().user_id
    service().audit.forget(user_id)
    if not service().store.write(lambda conn: people.delete_user(conn, user_id)):
        raise Problem("unauthorized", "this account is no more; there is nothing left to delete, so sign out")
    return Response(status=204)
