"""Who may pass: every route states its scopes, and one that does not lets nobody in."""

from __future__ import annotations

from flask import Flask, current_app, g, request

from services.store import accounts
from services.sync.context import service
from services.sync.operation import PUBLIC, SCOPES_ATTRIBUTE
from services.sync.problems import Problem

COOKIE = "wristwise_session"
_SAFE = ("GET", "HEAD", "OPTIONS")


def guard(app: Flask) -> None:
    """Check each request to `app` before its body is looked at."""
    app.before_request(_check)


def _check() -> None:
    if request.endpoint is None:
        return  # an unknown address: 404 is on its way
    view = current_app.view_functions[request.endpoint]
    scopes: tuple[str, ...] = getattr(view, SCOPES_ATTRIBUTE, ())
    if scopes == PUBLIC:
        return
    token = _token()
    found = service().store.read(lambda conn: accounts.access(conn, token)) if token else None
    if found is None:
        raise Problem(
            "unauthorized",
            "the access token is missing, expired or revoked; refresh it, or pair again",
            {"WWW-Authenticate": 'Bearer realm="wristwise", error="invalid_token"'},
        )
    if found.scope not in scopes:
        raise Problem(
            "forbidden",
            f"a token of scope {found.scope!r} may not do this; use one of scope {' or '.join(scopes) or 'nobody'}",
        )
    g.access = found


def _token() -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    cookie = request.cookies.get(COOKIE)
    if cookie is None:
        return None
    # A cookie travels by itself, so what it may change must come from our own page (the browser says so).
    if request.method not in _SAFE and not same_origin():
        raise Problem("forbidden", "this request came from another site's page; use the companion page itself")
    return cookie


def same_origin() -> bool:
    """Return whether the browser says that the request comes from our own pages."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("Origin")
    return origin is not None and origin.rstrip("/") == request.host_url.rstrip("/")
