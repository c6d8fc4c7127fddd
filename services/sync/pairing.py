"""Signing in as the companion, and pairing a watch: the OAuth 2.0 device grant (RFC 8628) with rotation."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import ConfigDict, Field

from services.store import accounts
from services.store.accounts import GrantError, TokenPair, user_name
from services.sync.context import service, who
from services.sync.fields import Body, Identifier, Label, Reply, from_us
from services.sync.operation import FORM_MEDIA, PROBLEM, PUBLIC, body_media, operation
from services.sync.problems import Problem
from services.sync.wire import reply

blueprint = APIBlueprint("pairing", __name__, abp_tags=[Tag(name="pairing")])
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
Token = Annotated[str, Field(min_length=1, max_length=128)]


class SessionRequest(Body):
    """A person's name and secret."""

    name: Label
    secret: Annotated[str, Field(min_length=1, max_length=256)]
    scope: Literal["companion", "caregiver"] = "companion"


class TokenReply(Reply):
    """Tokens (RFC 6749, 5.1)."""

    access_token: str
    refresh_token: str
    token_type: str = "Bearer"
    expires_in: int
    scope: str
    user_id: str
    device_id: str | None = None


class OAuthError(Reply):
    """A refusal in OAuth's own shape (RFC 6749, 5.2)."""

    error: str
    error_description: str


class DeviceRequest(Body):
    """A watch that wants to be paired."""

    model_config = ConfigDict(json_schema_extra=body_media(*FORM_MEDIA))

    client_id: Identifier
    scope: Literal["watch", "caregiver", "companion"] = "watch"
    device_id: Identifier | None = None
    device_name: Label = "watch"
    device_model: Label = "unknown"


class DeviceReply(Reply):
    """What the watch shows, and what it polls with (RFC 8628, 3.2)."""

    device_code: str
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    expires_in: int
    interval: int
    device_id: str


class TokenRequest(Body):
    """A poll of a pairing, or an exchange of a refresh token."""

    model_config = ConfigDict(json_schema_extra=body_media(*FORM_MEDIA))

    grant_type: Annotated[str, Field(max_length=128)]
    client_id: Identifier
    device_code: Token | None = None
    refresh_token: Token | None = None


class RevokeRequest(Body):
    """A token whose pairing shall end."""

    model_config = ConfigDict(json_schema_extra=body_media(*FORM_MEDIA))

    token: Token


class CodePath(Body):
    """The code that the watch shows."""

    user_code: Annotated[str, Field(min_length=1, max_length=16)]


class Decision(Body):
    """What the wearer decided."""

    approve: bool = True


class PairingReply(Reply):
    """A pairing, decided."""

    user_code: str
    approved: bool
    scope: str
    device_id: str
    device_name: str


class DeviceEntry(Reply):
    """One device."""

    device_id: str
    name: str
    model: str
    paired: str
    seen: str | None
    revoked: str | None


class DeviceList(Reply):
    """The user's devices."""

    devices: list[DeviceEntry]


class DevicePath(Body):
    """A device's id."""

    device_id: Identifier


@operation(blueprint, "post", "/v1/sessions", scopes=PUBLIC, reply=TokenReply, status=201, refuses=(401,))
def post_session(body: SessionRequest) -> Response:
    """Sign in as the companion"""
    store = service().store
    user_id = store.read(lambda conn: accounts.check_secret(conn, body.name, body.secret))
    if user_id is None:
        raise Problem("unauthorized", "no user has this name and secret; check both")
    pair = store.write(lambda conn: accounts.issue(conn, user_id, body.scope, "companion"))
    return reply(_token_body(pair), 201)


@operation(blueprint, "post", "/oauth/device_authorization", scopes=PUBLIC, reply=DeviceReply)
def device_authorization(body: DeviceRequest) -> Response:
    """Begin to pair a watch"""
    device = {"device_id": body.device_id or "", "name": body.device_name, "model": body.device_model}
    pairing = service().store.write(lambda conn: accounts.start_pairing(conn, body.client_id, body.scope, device))
    uri = f"{service().settings.public_url.rstrip('/') or request.host_url.rstrip('/')}/pair"
    return reply(
        {
            "device_code": pairing.device_code, "user_code": pairing.user_code, "verification_uri": uri,
            "verification_uri_complete": f"{uri}?code={pairing.user_code}", "expires_in": pairing.expires_in,
            "interval": pairing.interval, "device_id": pairing.device_id,
        }
    )  # fmt: skip


_OAUTH_ERROR = {
    400: {
        "content": {
            "application/json": {"schema": OAuthError.model_json_schema()},
            "application/msgpack": {"schema": OAuthError.model_json_schema()},
            PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}},
        }
    }
}


@operation(blueprint, "post", "/oauth/token", scopes=PUBLIC, reply=TokenReply, others=_OAUTH_ERROR)
def token(body: TokenRequest) -> Response:
    """Poll for tokens, or refresh them"""
    store = service().store
    if body.grant_type == DEVICE_GRANT and body.device_code:
        code = body.device_code
        outcome = store.write(lambda conn: accounts.poll_pairing(conn, code, body.client_id))
    elif body.grant_type == "refresh_token" and body.refresh_token:
        old = body.refresh_token
        outcome = store.write(lambda conn: accounts.refresh(conn, old, body.client_id))
    elif body.grant_type in (DEVICE_GRANT, "refresh_token"):
        outcome = GrantError("invalid_request", f"{body.grant_type} needs device_code or refresh_token; send it too")
    else:
        outcome = GrantError("unsupported_grant_type", f"this service knows {DEVICE_GRANT} and refresh_token")
    if isinstance(outcome, GrantError):
        return reply({"error": outcome.code, "error_description": str(outcome)}, 400)
    return reply(_token_body(outcome))


@operation(blueprint, "post", "/oauth/revoke", scopes=PUBLIC, status=204)
def revoke(body: RevokeRequest) -> Response:
    """End a pairing (RFC 7009)"""
    service().store.write(lambda conn: accounts.revoke_token(conn, body.token))
    return Response(status=204)


@operation(blueprint, "post", "/v1/pairings/<user_code>", scopes=("companion",), reply=PairingReply, refuses=(404,))
def decide(path: CodePath, body: Decision) -> Response:
    """Approve or refuse a watch"""
    user_id = who().user_id
    row = service().store.write(lambda conn: accounts.decide_pairing(conn, user_id, path.user_code, body.approve))
    if row is None:
        raise Problem("not-found", "no pairing waits under this code; look at the watch, or start it again there")
    return reply(
        {
            "user_code": f"{row.user_code[:4]}-{row.user_code[4:]}", "approved": body.approve, "scope": row.scope,
            "device_id": row.device_id, "device_name": row.device_name,
        }
    )  # fmt: skip


@operation(blueprint, "get", "/v1/devices", scopes=("companion",), reply=DeviceList)
def get_devices() -> Response:
    """List the user's devices"""
    user_id = who().user_id
    rows = service().store.read(lambda conn: accounts.list_devices(conn, user_id))
    entries = [
        {
            "device_id": row.device_id, "name": row.name, "model": row.model, "paired": from_us(row.created_us),
            "seen": _when(row.seen_us), "revoked": _when(row.revoked_us),
        }
        for row in rows
    ]  # fmt: skip
    return reply({"devices": entries})


@operation(blueprint, "delete", "/v1/devices/<device_id>", scopes=("companion",), status=204, refuses=(404,))
def delete_device(path: DevicePath) -> Response:
    """Revoke a device's tokens; its data stay"""
    user_id = who().user_id
    if not service().store.write(lambda conn: accounts.revoke_device(conn, user_id, path.device_id)):
        raise Problem("not-found", "the user has no such device; GET /v1/devices lists them")
    return Response(status=204)


def _when(us: int | None) -> str | None:
    return None if us is None else from_us(us)


def _token_body(pair: TokenPair) -> dict[str, Any]:
    return {
        "access_token": pair.access_token, "refresh_token": pair.refresh_token, "token_type": "Bearer",
        "expires_in": pair.expires_in, "scope": pair.scope, "user_id": user_name(pair.user_id),
        "device_id": pair.device_id,
    }  # fmt: skip
