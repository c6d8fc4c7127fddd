"""The finish of the OpenAPI description: what flask-openapi3 cannot say by itself."""

from __future__ import annotations

from typing import Any

from flask_openapi3 import OpenAPI

from services.sync.problems import ProblemBody
from services.sync.wire import JSON, MSGPACK


def finish_spec(app: OpenAPI) -> None:
    """Complete `app`'s description once: problem schema, media types of bodies and replies."""
    original = app.generate_spec_json

    def generate() -> None:
        original()  # type: ignore[no-untyped-call]
        spec = app.spec_json
        schemas = spec.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = ProblemBody.model_json_schema()
        for path in spec.get("paths", {}).values():
            for operation in path.values():
                if isinstance(operation, dict):
                    _finish_operation(operation, schemas)

    app.generate_spec_json = generate  # type: ignore[method-assign]


def _finish_operation(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    content = operation.get("requestBody", {}).get("content", {})
    if JSON in content:
        name = content[JSON].get("schema", {}).get("$ref", "").rsplit("/", 1)[-1]
        for media in schemas.get(name, {}).get("x-media", [JSON, MSGPACK]):
            content.setdefault(media, content[JSON])
    responses = operation.get("responses", {})
    if not operation.get("requestBody") and not operation.get("parameters"):
        responses.pop("422", None)  # the framework's own; what takes nothing cannot refuse it
    for status, response in responses.items():
        content = response.get("content", {})
        if status.startswith("2") and JSON in content:
            content.setdefault(MSGPACK, content[JSON])
