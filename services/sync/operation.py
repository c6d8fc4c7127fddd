"""`operation`: one decorator that documents a route and says who may use it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from flask_openapi3 import APIBlueprint
from pydantic import BaseModel

from services.sync.problems import KINDS
from services.sync.wire import FORM, JSON, MSGPACK

F = TypeVar("F", bound=Callable[..., Any])
SCOPES_ATTRIBUTE = "__wristwise_scopes__"
PUBLIC: tuple[str, ...] = ("public",)
PROBLEM = "application/problem+json"
# What any route may answer besides its own.
_ALWAYS = (400, 405, 406, 413, 415, 422, 429, 500, 503)


def operation(
    blueprint: APIBlueprint,
    method: str,
    rule: str,
    *,
    scopes: Sequence[str],
    reply: type[BaseModel] | None = None,
    status: int = 200,
    media: Sequence[str] = (JSON, MSGPACK),
    refuses: Sequence[int] = (),
    others: dict[int, Any] | None = None,
) -> Callable[[F], F]:
    """
    Register a route.

    Parameters
    ----------
    scopes : sequence of str
        Scopes of which a token needs one, or `PUBLIC`.
    reply : pydantic model, optional
        Schema of a success; None for a body that JSON cannot describe (see `media`), or for no body (204).
    refuses : sequence of int
        Statuses, beyond those that every route may give, that come as problem details.
    """
    responses: dict[int, Any] = {status: _success(reply, status, media)}
    denied = () if tuple(scopes) == PUBLIC else (401, 403)
    for code in sorted({*refuses, *denied, *_ALWAYS}):
        responses[code] = {"content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    responses |= others or {}

    def register(function: F) -> F:
        setattr(function, SCOPES_ATTRIBUTE, tuple(scopes))
        security = None if tuple(scopes) == PUBLIC else [{"token": list(scopes)}]
        getattr(blueprint, method)(rule, responses=responses, security=security)(function)
        return function

    return register


def _success(reply: type[BaseModel] | None, status: int, media: Sequence[str]) -> Any:
    if status == 204:
        return {"description": "Done"}
    if reply is None:
        return {"description": "OK", "content": {m: {"schema": {"type": "string"}} for m in media}}
    return reply


def body_media(*media: str) -> dict[str, Any]:
    """Return a model's `openapi_extra` that says in which forms its body may come."""
    return {"x-media": list(media or (JSON, MSGPACK))}


FORM_MEDIA = (FORM, JSON, MSGPACK)
assert all(code in {k.status for k in KINDS.values()} for code in _ALWAYS)
