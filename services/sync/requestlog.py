"""One line of log a request, and a request's id beside every line that is written on its behalf."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
import time

from flask import Flask, Response, g, has_request_context, request

HEADER = "X-Request-ID"
_log = logging.getLogger("wristwise.request")
# Whoever stands in front may have drawn an id already; anything else in its place is not repeated.
_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


def log_requests(app: Flask, secret: str) -> None:
    """
    Give each request to `app` an id, and write a line of it once it is answered.

    The line names the route (``/v1/records/<record_id>``, never the address that was asked for) and the user by a hash
    that only the holder of `secret` can tell apart from a number: lines of one user can be followed, and not led back.
    """
    for name in ("wristwise.request", "wristwise.sync"):
        logger = logging.getLogger(name)
        if _add_context not in logger.filters:
            logger.addFilter(_add_context)

    def begin() -> None:
        given = request.headers.get(HEADER, "")
        g.request_id = given if _ID.fullmatch(given) else secrets.token_hex(8)
        g.log_secret, g.log_began = secret, time.perf_counter()

    def end(response: Response) -> Response:
        if "request_id" not in g:
            return response
        response.headers[HEADER] = g.request_id
        if _log.isEnabledFor(logging.INFO):
            rule = request.url_rule.rule if request.url_rule else None
            fields = {
                "method": request.method, "route": rule, "status": response.status_code,
                "ms": round((time.perf_counter() - g.log_began) * 1e3, 1), "bytes": request.content_length or 0,
            }  # fmt: skip
            if "problem" in g:
                fields["problem"] = g.problem
            _log.info("request", extra={"fields": fields})
        return response

    app.before_request(begin)
    app.after_request(end)


def _add_context(record: logging.LogRecord) -> bool:
    if has_request_context() and "request_id" in g:
        fields = {"request_id": g.request_id, **getattr(record, "fields", {})}
        access = g.get("access")
        if access is not None:
            fields |= {"user": user_hash(access.user_id, g.log_secret), "scope": access.scope}
        record.fields = fields
    return True


def user_hash(user_id: int, secret: str) -> str:
    """Return what stands for a user in the log."""
    return hmac.new(secret.encode(), f"log/{user_id}".encode(), hashlib.sha256).hexdigest()[:12]
