"""Bodies: JSON, MessagePack or form in, JSON or MessagePack out, with limits on size and decompression."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from typing import IO, Any, cast

import msgpack
import zstandard
from flask import Request, Response, current_app, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from services.sync.problems import Problem

JSON, MSGPACK, FORM = "application/json", "application/msgpack", "application/x-www-form-urlencoded"


class WireRequest(Request):
    """A request whose `get_json` reads whatever it was sent in, so that one schema checks all three."""

    # The body as it was read: what cannot be understood is kept in quarantine.
    read_content: bytes = b""

    def get_json(self, force: bool = False, silent: bool = False, cache: bool = True) -> Any:  # noqa: ARG002
        """Return the body as plain objects; raise `Problem` where it cannot be read."""
        kind = self.mimetype
        if kind == FORM:
            return {name: values[0] for name, values in self.form.lists()}
        if kind in (JSON, ""):
            return parse_json(self.content())
        if kind in (MSGPACK, "application/x-msgpack", "application/vnd.msgpack"):
            return parse_msgpack(self.content())
        raise Problem(
            "unsupported-media-type",
            f"the body came as {kind!r}; send application/json or application/msgpack",
            {"Accept": f"{JSON}, {MSGPACK}"},
        )

    def content(self) -> bytes:
        """Return the body, decompressed within the limits."""
        limit = current_app.config["MAX_DECOMPRESSED"]
        try:
            raw = self.get_data(cache=False)
        except RequestEntityTooLarge as error:
            raise too_large(current_app.config["MAX_CONTENT_LENGTH"]) from error
        except ClientDisconnected as error:
            raise Problem("malformed-body", "the connection ended before the whole body came; send it again") from error
        declared = self.content_length
        if declared is not None and len(raw) < declared:
            raise Problem("malformed-body", f"{declared} bytes were announced, {len(raw)} came; send it again")
        content = decompress(raw, self.headers.get("Content-Encoding", "identity"), limit)
        self.read_content = content
        return content


def too_large(limit: int) -> Problem:
    """Return the refusal of a body beyond `limit` bytes."""
    return Problem("too-large", f"the body is larger than {limit} bytes; send fewer chunks a batch", limit=limit)


def decompress(raw: bytes, encoding: str, limit: int) -> bytes:
    """Return `raw` without its `Content-Encoding`, at most `limit` bytes of it."""
    if encoding == "identity":
        return raw
    readers: dict[str, Callable[[], IO[bytes]]] = {
        "zstd": lambda: cast(IO[bytes], zstandard.ZstdDecompressor().stream_reader(raw)),
        "gzip": lambda: cast(IO[bytes], gzip.GzipFile(fileobj=io.BytesIO(raw))),
    }
    if encoding not in readers:
        raise Problem(
            "unsupported-media-type", f"the body is encoded with {encoding[:32]!r}; use zstd, gzip or none",
            {"Accept-Encoding": "zstd, gzip"},
        )  # fmt: skip
    try:
        content = readers[encoding]().read(limit + 1)
    except (OSError, EOFError, zstandard.ZstdError) as error:
        raise Problem("malformed-body", f"the body is not {encoding}; send it again") from error
    if len(content) > limit:
        raise too_large(limit)
    return content


def parse_json(content: bytes) -> Any:
    """Parse JSON as RFC 8259 has it: UTF-8, no NaN."""
    try:
        return json.loads(content.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Problem("malformed-body", f"the body is not JSON ({_where(error)}); correct it") from error


def parse_msgpack(content: bytes) -> Any:
    """Parse one MessagePack object."""
    try:
        return msgpack.unpackb(content, strict_map_key=True)
    except (ValueError, msgpack.UnpackException, RecursionError) as error:
        raise Problem("malformed-body", "the body is not one MessagePack object; correct it") from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _where(error: BaseException) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}"
    return "not UTF-8" if isinstance(error, UnicodeDecodeError) else "too deep, or a number that JSON does not have"


def reply(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return `body` in the form that `Accept` names, else in the request's own, else JSON."""
    wanted = request.accept_mimetypes.best_match([JSON, MSGPACK]) if "Accept" in request.headers else None
    if wanted is None or not request.accept_mimetypes[wanted] or request.headers.get("Accept") == "*/*":
        wanted = MSGPACK if request.mimetype.endswith("msgpack") else JSON
    if wanted == MSGPACK:
        return Response(msgpack.packb(body), status, headers, content_type=MSGPACK)
    return Response(json.dumps(body, separators=(",", ":")), status, headers, content_type=JSON)
