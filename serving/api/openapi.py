"""What the OpenAPI document says beyond the routes: problems of each status, the key that every /v1 route asks for."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from serving.api.documents import Problem
from serving.errors import PROBLEM_JSON

_PROBLEM = {"content": {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
_MEANINGS = {
    400: "body is not JSON", 401: "no valid API key", 403: "not allowed for this role", 404: "unknown id",
    408: "body too slow", 409: "the same request is still running", 413: "body too large",
    415: "body is not declared as JSON", 422: "fields or values not allowed", 500: "the server failed",
    503: "not ready, or overloaded",
}  # fmt: skip
READING = (401, 403, 422, 500, 503)
WRITING = (400, 401, 403, 408, 413, 415, 422, 500, 503)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer with these problems."""
    return {status: {"description": _MEANINGS[status], **_PROBLEM} for status in sorted(set(statuses))}


def body_of(model: str, *, is_list: bool = False) -> dict[str, Any]:
    """The `openapi_extra` of a route that reads its body itself."""
    reference: dict[str, Any] = {"$ref": f"#/components/schemas/{model}"}
    schema = {"type": "array", "items": reference} if is_list else reference
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def header(name: str, meaning: str, **schema: Any) -> dict[str, Any]:
    """The `openapi_extra` of a route that reads an optional header itself."""
    given = {"name": name, "in": "header", "required": False, "description": meaning}
    return {"parameters": [given | {"schema": {"type": "string"} | schema}]}


def describe(app: FastAPI, *bodies: type[BaseModel]) -> None:
    """Let the document of `app` name its problems, the bodies that routes read themselves, and the key."""
    plain = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = plain()
            components = found.setdefault("components", {})
            schemas = components.setdefault("schemas", {})
            models: tuple[type[BaseModel], ...] = (Problem, *bodies)
            for model in models:
                shape = model.model_json_schema(ref_template="#/components/schemas/{model}")
                schemas.update(shape.pop("$defs", {}))
                schemas[model.__name__] = shape
            components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
            for path, operations in found["paths"].items():
                if path.startswith("/v1/"):
                    for operation in operations.values():
                        operation["security"] = [{"key": []}]
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # FastAPI's own way to extend its document
