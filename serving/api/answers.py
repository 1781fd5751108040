"""Answers as bytes: plain data written once, without a second pass through models."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

_WRITE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def text_of(body: Any) -> str:
    """Plain data as compact JSON text; NaN and infinity are an error, since JSON has neither.

    >>> text_of({"n": 1, "名": [None, 0.5]})
    '{"n":1,"名":[null,0.5]}'
    """
    return _WRITE(body)


def answer(body: Any, status: int = 200) -> Response:
    """The response that carries `body` as JSON."""
    return Response(_WRITE(body).encode(), status, media_type="application/json")
