"""Our errors as RFC 9457 problems: one table of types, and one way to render any of them.

    {type, title, status, detail, allowed?, errors?, trace_id}        application/problem+json

`type` is a stable relative reference (/problems/unknown-customer) that a program may branch on. A problem tells what
the caller sent wrong and what is allowed; it never tells a customer's data, a path, or where in the code it arose:
the log has the frames under the same `trace_id`.
"""

from __future__ import annotations

import json
import logging
import secrets
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from features.errors import (
    BadRequest,
    MissingBuild,
    MissingModel,
    MissingRelease,
    NotAllowed,
    NotFound,
    NotReady,
    TiercelError,
    UserMistake,
)
from serving.ledger import BadRows, OtherBody, StillRunning

PROBLEM_JSON = "application/problem+json"
RETRY_AFTER_SECONDS = 1
_log = logging.getLogger("tiercel.serving")


class UnknownCustomer(NotFound):
    """No such customer in the release."""

    slug = "unknown-customer"


class UnknownDecision(NotFound):
    """No such decision in the ledger."""

    slug = "unknown-decision"


class UnknownCell(NotFound):
    """No such cell in the class × stage matrix."""

    slug = "unknown-cell"


class UnknownTag(NotFound):
    """The customer has no such tag, as far as the caller may see."""

    slug = "unknown-tag"


class NoRoute(NotFound):
    """No resource at this path."""

    slug = "no-route"


class UnknownChannel(BadRequest):
    """No such channel in the policy."""

    slug = "unknown-channel"


class UnknownOffer(BadRequest):
    """No such offer in the catalogue."""

    slug = "unknown-offer"


class MalformedJson(BadRequest):
    """The body is not JSON."""

    slug = "malformed-json"


class InvalidFields(BadRequest):
    """Fields of the request are not allowed; `errors` names each."""

    slug = "invalid-fields"

    def __init__(self, errors: Sequence[Mapping[str, str]]) -> None:
        self.errors = [dict(error) for error in errors]
        super().__init__(f"{len(self.errors)} of the request's fields are not allowed")


class TooManyCustomers(BadRequest):
    """More customers than one request may name."""

    slug = "too-many-customers"


class BodyTooLarge(BadRequest):
    """The body is larger than is read."""

    slug = "body-too-large"


class BodyTooSlow(BadRequest):
    """The body did not come in the time there is for it."""

    slug = "body-too-slow"


class UnsupportedMedia(BadRequest):
    """The body is not declared as JSON."""

    slug = "unsupported-media-type"


class MethodNotAllowed(BadRequest):
    """The path does not know this method."""

    slug = "method-not-allowed"


class BadCursor(BadRequest):
    """The cursor was not given out by us."""

    slug = "bad-cursor"


class NoKey(NotAllowed):
    """No API key, or one that nobody holds."""

    slug = "no-key"


class Overload(TiercelError):
    """More requests at once than are worked on."""

    slug = "overload"


# The most special class on an error's line of descent decides its status and title.
STATUSES: Mapping[type[TiercelError], tuple[int, str]] = {
    TiercelError: (500, "Internal error"),
    UserMistake: (422, "Request not allowed"),
    BadRequest: (422, "Request not allowed"),
    NotFound: (404, "Not found"),
    NotAllowed: (403, "Not allowed for this role"),
    NotReady: (503, "Not ready"),
    MissingBuild: (503, "No month has been built"),
    MissingModel: (503, "No model is released"),
    MissingRelease: (503, "Nothing has been released"),
    UnknownCustomer: (404, "Unknown customer"),
    UnknownDecision: (404, "Unknown decision"),
    UnknownCell: (404, "Unknown cell"),
    UnknownTag: (404, "Unknown tag"),
    NoRoute: (404, "No such resource"),
    UnknownChannel: (422, "Unknown channel"),
    UnknownOffer: (422, "Unknown offer"),
    MalformedJson: (400, "Body is not JSON"),
    InvalidFields: (422, "Invalid fields"),
    TooManyCustomers: (422, "Too many customers"),
    BodyTooLarge: (413, "Body too large"),
    BodyTooSlow: (408, "Body too slow"),
    UnsupportedMedia: (415, "Unsupported media type"),
    MethodNotAllowed: (405, "Method not allowed"),
    BadCursor: (422, "Bad cursor"),
    NoKey: (401, "No valid API key"),
    Overload: (503, "Overloaded"),
    StillRunning: (409, "Still running"),
    OtherBody: (422, "Idempotency-Key used with another body"),
    BadRows: (422, "Rows not allowed"),
}


def status_of(error: TiercelError) -> tuple[int, str]:
    """HTTP status and title of an error, by the nearest class in the table.

    >>> status_of(UnknownCustomer("unknown customer", value="C1"))
    (404, 'Unknown customer')
    """
    return next(STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES)


def problem(error: TiercelError, trace_id: str | None = None) -> dict[str, Any]:
    """The problem document of an error, as plain data."""
    status, title = status_of(error)
    body: dict[str, Any] = {
        "type": f"/problems/{error.slug}",
        "title": title,
        "status": status,
        "detail": str(error) if status != 500 else "The server failed; the trace id finds it in the log.",
        "trace_id": trace_id or secrets.token_hex(8),
    }
    if error.allowed:
        body["allowed"] = error.allowed.split(", ")
    errors = getattr(error, "errors", None)
    if errors:
        body["errors"] = errors
    return body


def problem_response(error: TiercelError, trace_id: str | None = None) -> Response:
    """The response that tells an error."""
    body = problem(error, trace_id)
    headers: dict[str, str] = {}
    if body["status"] == 503:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if body["status"] == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="tiercel"'
    content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    return Response(content, body["status"], headers, PROBLEM_JSON)


def invalid_fields(errors: Sequence[Mapping[str, Any]]) -> BadRequest:
    """What pydantic found, as our error: each field by its path and what is wrong, without the value sent."""
    if any(error["type"] == "json_invalid" for error in errors):
        return MalformedJson("the body is not JSON", todo="send one JSON object or array, UTF-8")
    return InvalidFields(
        [
            {"field": ".".join(str(part) for part in error["loc"] if part != "body") or "body", "message": error["msg"]}
            for error in errors
        ]
    )


async def _tell_ours(_: Request, error: Exception) -> Response:
    if not isinstance(error, TiercelError):
        return await _tell_defect(_, error)
    if status_of(error)[0] == 500:
        return await _tell_defect(_, error)
    return problem_response(error)


async def _tell_invalid(_: Request, error: Exception) -> Response:
    errors = error.errors() if isinstance(error, RequestValidationError) else []
    return problem_response(invalid_fields(errors))


async def _tell_http(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 404:
        return problem_response(NoRoute("no resource at this path", todo="/openapi.json lists them"))
    if status == 405:
        headers = getattr(error, "headers", None) or {}
        refusal = MethodNotAllowed("the path does not know this method", value=request.method,
                                   allowed=headers.get("Allow"))  # fmt: skip
        response = problem_response(refusal)
        response.headers.update(headers)
        return response
    return problem_response(MalformedJson("the body cannot be read", todo="send JSON, UTF-8"))


async def _tell_defect(_: Request, error: Exception) -> Response:
    trace_id = secrets.token_hex(8)
    frames = "".join(traceback.format_tb(error.__traceback__))  # frames alone: a message may carry customer data
    _log.error("%s %s\n%s", trace_id, type(error).__name__, frames)
    return problem_response(TiercelError("the server failed"), trace_id)


def tell_errors(app: FastAPI) -> None:
    """Let `app` answer every error as a problem."""
    app.add_exception_handler(TiercelError, _tell_ours)
    app.add_exception_handler(RequestValidationError, _tell_invalid)
    app.add_exception_handler(HTTPException, _tell_http)
    app.add_exception_handler(Exception, _tell_defect)
