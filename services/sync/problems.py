"""Refusals as problem details (RFC 9457): a stable type, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from flask import Response, g, jsonify
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from werkzeug.exceptions import HTTPException

BASE: Final = "https://wristwise.dev/problems/"


class Kind(NamedTuple):
    """One type of problem."""

    status: int
    title: str


KINDS: Final[Mapping[str, Kind]] = {
    "malformed-body": Kind(400, "The body cannot be read"),
    "bad-request": Kind(400, "The request cannot be understood"),
    "unauthorized": Kind(401, "A valid access token is needed"),
    "forbidden": Kind(403, "This token may not do that"),
    "not-found": Kind(404, "There is no such thing here"),
    "method-not-allowed": Kind(405, "This address does not take that method"),
    "not-acceptable": Kind(406, "The answer cannot be given in that form"),
    "conflict": Kind(409, "That contradicts what is stored"),
    "chunk-conflict": Kind(409, "Other samples are stored under this identity"),
    "version-conflict": Kind(409, "A newer version is stored"),
    "offset-conflict": Kind(409, "The upload goes on from another offset"),
    "cursor-expired": Kind(410, "The cursor is too old"),
    "gone": Kind(410, "That is no longer here"),
    "length-required": Kind(411, "The length must be said"),
    "precondition-failed": Kind(412, "A condition of the request does not hold"),
    "too-large": Kind(413, "The request is too large"),
    "unsupported-media-type": Kind(415, "The body is of a type that is not spoken here"),
    "range-not-satisfiable": Kind(416, "There are no such bytes"),
    "invalid": Kind(422, "The request says something that cannot be"),
    "chunk-invalid": Kind(422, "The chunk says something that cannot be"),
    "record-invalid": Kind(422, "The record says something that cannot be"),
    "too-many-requests": Kind(429, "Too many requests"),
    "internal-error": Kind(500, "Something went wrong here"),
    "unavailable": Kind(503, "The service cannot answer now"),
}  # fmt: skip
_BY_STATUS: Final = {
    400: "bad-request", 401: "unauthorized", 403: "forbidden", 404: "not-found", 405: "method-not-allowed",
    406: "not-acceptable", 409: "conflict", 410: "gone", 411: "length-required", 412: "precondition-failed",
    413: "too-large", 415: "unsupported-media-type", 416: "range-not-satisfiable", 422: "invalid",
    429: "too-many-requests", 503: "unavailable",
}  # fmt: skip


class ProblemBody(BaseModel):
    """A problem detail (RFC 9457)."""

    model_config = ConfigDict(title="Problem", extra="allow")

    type: str = Field(description="Names the kind of problem; does not change between versions.")
    title: str
    status: int
    detail: str = Field(description="What was wanted, what came, and what to do.")


class Problem(HTTPException):
    """
    A refusal.

    Parameters
    ----------
    slug : str
        A key of `KINDS`.
    detail : str
        One sentence: what was wanted, what came, what to do.
    headers : mapping, optional
    members : Any
        Further members of the problem detail.
    """

    def __init__(self, slug: str, detail: str, headers: Mapping[str, str] | None = None, **members: Any) -> None:
        self.slug = slug
        self.code = KINDS[slug].status
        self.extra_headers = dict(headers or {})
        self.members = members
        super().__init__(detail)

    def body(self) -> dict[str, Any]:
        """Return the problem detail."""
        return problem_body(self.slug, self.description or "", **self.members)

    def get_response(self, environ: Any = None, scope: Any = None) -> Response:  # noqa: ARG002
        """Return the answer that carries the problem."""
        g.problem = self.slug
        response = jsonify(self.body())
        response.status_code = self.code or 500
        response.content_type = "application/problem+json"
        response.headers.update(self.extra_headers)
        return response


def problem_body(slug: str, detail: str, **members: Any) -> dict[str, Any]:
    """Return a problem detail of kind `slug`."""
    kind = KINDS[slug]
    return {"type": BASE + slug, "title": kind.title, "status": kind.status, "detail": detail, **members}


def from_http(error: HTTPException) -> Response:
    """Turn any refusal of Flask's or Werkzeug's into a problem detail."""
    if isinstance(error, Problem):
        return error.get_response()
    if error.response is not None:
        return error.response  # type: ignore[return-value]
    slug = _BY_STATUS.get(error.code or 500, "internal-error")
    headers = {k: v for k, v in error.get_headers() if k in ("Allow", "Retry-After", "Content-Range")}
    return Problem(slug, f"{error.description or error.name}; /openapi.json lists what is here", headers).get_response()


def from_validation(error: ValidationError) -> Response:
    """Turn what pydantic refused into a problem detail that lists each fault."""
    return Problem("invalid", describe(error), errors=faults(error)).get_response()


def faults(error: ValidationError) -> list[dict[str, Any]]:
    """Return each fault with its place; never the value, which may be somebody's health."""
    return [
        {"at": ".".join(str(part) for part in fault["loc"]), "message": fault["msg"]}
        for fault in error.errors(include_url=False, include_context=False, include_input=False)
    ][:20]


def describe(error: ValidationError) -> str:
    """Return the first fault as a sentence."""
    first = faults(error)[0]
    more = error.error_count() - 1
    place = first["at"] or "the body"
    return f"{place}: {first['message']}" + (f", and {more} more" if more else "") + "; correct it and send it again"
