"""Webhooks for a caregiver or another service: verified on set-up, signed, retried."""

from __future__ import annotations

from typing import Annotated, Any

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import Field, StringConstraints

from services.store import hooks
from services.store.hooks import Hook
from services.sync.clientrecords import Kind
from services.sync.context import service, who
from services.sync.fields import Body, Reply
from services.sync.kinds import EVENTS
from services.sync.operation import operation
from services.sync.problems import Problem
from services.sync.wire import reply
from services.worker.deliver import DeliveryError, check_address, verify

blueprint = APIBlueprint("webhooks", __name__, abp_tags=[Tag(name="webhooks")])
MAX_HOOKS = 8


class HookRequest(Body):
    """Where to send what."""

    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\x00-\x20]{1,1000}$")]
    kinds: Annotated[list[Kind], Field(min_length=1, max_length=32)] = Field(default_factory=lambda: list(EVENTS))


class HookPath(Body):
    """A hook's id."""

    hook_id: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]


class HookReply(Reply):
    """A hook; the secret with which posts are signed is shown once, when it is made."""

    hook_id: str
    url: str
    kinds: list[str]
    verified: bool
    secret: str | None = None


class HookList(Reply):
    """A user's hooks."""

    webhooks: list[HookReply]


@operation(blueprint, "post", "/v1/webhooks", scopes=("companion",), reply=HookReply, status=201, refuses=(409,))
def post_webhook(body: HookRequest) -> Response:
    """Register a receiver; verify it with POST /v1/webhooks/{hook_id}/verify once it holds the secret"""
    user_id, parts = who().user_id, service()
    try:
        check_address(body.url, bool(parts.settings.private_hooks))
    except DeliveryError as error:
        raise Problem("invalid", str(error)) from error

    def work(conn: Any) -> Hook | None:
        return hooks.add(conn, user_id, body.url, body.kinds) if len(hooks.of_user(conn, user_id)) < MAX_HOOKS else None

    hook = parts.store.write(work)
    if hook is None:
        raise Problem("conflict", f"a user may have {MAX_HOOKS} webhooks; delete one first")
    return reply({**_body(hook), "secret": hook.secret.hex()}, 201)


@operation(
    blueprint, "post", "/v1/webhooks/<hook_id>/verify", scopes=("companion",), reply=HookReply, refuses=(404, 409)
)
def verify_webhook(path: HookPath) -> Response:
    """Let the receiver prove that it holds the secret and refuses a false signature"""
    user_id, store = who().user_id, service().store
    hook = _find(user_id, path.hook_id)
    try:
        verify(hook)
    except DeliveryError as error:
        raise Problem("conflict", str(error)) from error
    store.write(lambda conn: hooks.verified(conn, user_id, hook.hook_id))
    return reply({**_body(hook), "verified": True})


@operation(blueprint, "get", "/v1/webhooks", scopes=("companion",), reply=HookList)
def get_webhooks() -> Response:
    """List the receivers"""
    user_id = who().user_id
    return reply({"webhooks": [_body(h) for h in service().store.read(lambda c: hooks.of_user(c, user_id))]})


@operation(blueprint, "delete", "/v1/webhooks/<hook_id>", scopes=("companion",), status=204, refuses=(404,))
def delete_webhook(path: HookPath) -> Response:
    """Stop telling a receiver"""
    user_id = who().user_id
    if not service().store.write(lambda conn: hooks.drop(conn, user_id, path.hook_id)):
        raise Problem("not-found", "there is no such webhook; GET /v1/webhooks lists them")
    return Response(status=204)


def _find(user_id: int, hook_id: str) -> Hook:
    hook = service().store.read(lambda conn: hooks.find(conn, user_id, hook_id))
    if hook is None:
        raise Problem("not-found", "there is no such webhook; GET /v1/webhooks lists them")
    return hook


def _body(hook: Hook) -> dict[str, Any]:
    return {"hook_id": hook.hook_id, "url": hook.url, "kinds": list(hook.kinds), "verified": hook.verified}
