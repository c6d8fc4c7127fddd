"""`operation`: one decorator that documents a route and says who may use it."""

from __future__ import annotations

import inspect
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
_ALWAYS = (400, 405, 406, 429, 500, 503)
_WITH_BODY, _WITH_INPUT = (413, 415, 422), (422,)
_EVERY_SCOPE = {"watch", "companion", "caregiver"}


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

    def register(function: F) -> F:
        setattr(function, SCOPES_ATTRIBUTE, tuple(scopes))
        responses: dict[int, Any] = {status: _success(reply, status, media)}
        for code in sorted({*refuses, *_ALWAYS, *_of_input(function), *_of_scopes(method, scopes)}):
            responses[code] = {"content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
        responses |= others or {}
        security = None if tuple(scopes) == PUBLIC else [{"token": list(scopes)}]
        getattr(blueprint, method)(rule, responses=responses, security=security)(function)
        return function

    return register


def _of_input(function: Callable[..., Any]) -> tuple[int, ...]:
    """Return the refusals that a route can give because of what it takes; the framework goes by these names, too."""
    taken = set(inspect.signature(function).parameters)
    if taken & {"body", "form", "raw"}:
        return _WITH_BODY
    return _WITH_INPUT if taken & {"path", "query"} else ()


def _of_scopes(method: str, scopes: Sequence[str]) -> tuple[int, ...]:
    if tuple(scopes) == PUBLIC:
        return ()
    # Whoever has a token may pass, unless it came as a cookie with another site's request to change something.
    return (401,) if set(scopes) == _EVERY_SCOPE and method == "get" else (401, 403)


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
