"""`create_app`: one Flask application from settings and a store."""

from __future__ import annotations

import logging
import threading
from typing import Any

from flask import Flask, Response
from flask_openapi3 import Info, OpenAPI
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from services.page.blueprint import mount as mount_page
from services.store.store import Store
from services.sync import (
    batches,
    changes,
    live,
    manifest,
    me,
    models,
    ops,
    pairing,
    quarantine,
    reads,
    recordroutes,
    uploads,
    variability,
    webhooks,
)  # fmt: skip
from services.sync.auditing import Audit, keep_audit
from services.sync.auth import COOKIE, guard
from services.sync.config import Settings
from services.sync.context import Service
from services.sync.limits import limit
from services.sync.metrics import measure
from services.sync.problems import Problem, ProblemBody, from_http, from_validation
from services.sync.requestlog import log_requests
from services.sync.spec import finish_spec
from services.sync.wire import WireRequest

_log = logging.getLogger("wristwise.sync")
# Every blueprint of the API, in the order of the documentation; the companion page is mounted beside them.
BLUEPRINTS = (
    pairing.blueprint, batches.blueprint, uploads.blueprint, manifest.blueprint, quarantine.blueprint,
    recordroutes.blueprint, changes.blueprint, reads.blueprint, variability.blueprint, live.blueprint,
    webhooks.blueprint, models.blueprint, me.blueprint, ops.blueprint,
)  # fmt: skip
_SCHEMES: dict[str, Any] = {
    "token": {"type": "http", "scheme": "bearer", "description": "Access token; scopes: watch, companion, caregiver."},
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE, "description": "The companion page's own session."},
}
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "Cache-Control": "no-store",
}


def create_app(settings: Settings, store: Store) -> OpenAPI:
    """
    Return the API on `store`.

    Raises
    ------
    SettingError
        If there is no secret of 32 characters or more.
    """
    settings.check_secret()
    app = OpenAPI(
        "wristwise", info=Info(title="Wristwise sync", version="1"), security_schemes=_SCHEMES,
        validation_error_callback=from_validation, validation_error_model=ProblemBody,
        doc_ui=False, static_folder=None,
    )  # fmt: skip
    app.request_class = WireRequest
    app.config.update(
        MAX_CONTENT_LENGTH=settings.max_body, MAX_DECOMPRESSED=settings.max_decompressed, SECRET_KEY=settings.secret
    )
    parts = Service(
        store, settings, Audit(store),
        waiting=threading.BoundedSemaphore(max(1, settings.max_waiting)),
        live=threading.BoundedSemaphore(max(1, settings.max_live)),
    )  # fmt: skip
    app.extensions["wristwise"] = parts
    log_requests(app, settings.secret)
    measure(app, parts.metrics)
    guard(app)
    limit(app, settings.rate_per_minute, settings.signin_per_minute)
    keep_audit(app, parts.audit)
    app.register_error_handler(HTTPException, from_http)
    app.register_error_handler(Exception, _unexpected)
    app.after_request(_secure)
    for blueprint in BLUEPRINTS:
        app.register_api(blueprint)
    mount_page(app)
    finish_spec(app)
    return app


def _unexpected(error: Exception) -> Response:
    # The kind of error and where, never its text: that may hold what somebody's body measured.
    _log.error("unexpected %s", type(error).__name__, exc_info=_without_values(error))
    if isinstance(error, SQLAlchemyError):
        return Problem("unavailable", "the store does not answer; try again", {"Retry-After": "5"}).get_response()
    return Problem("internal-error", "this is our fault and has been logged; try again later").get_response()


def _without_values(error: Exception) -> Any:
    return (type(error), type(error)("…") if type(error).__init__ is Exception.__init__ else None, error.__traceback__)


def _secure(response: Response) -> Response:
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def blueprints_of(app: Flask) -> list[str]:
    """Return the names of the blueprints that `app` serves."""
    return sorted(app.blueprints)
