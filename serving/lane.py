"""The way of one busy route past the router.

To match routes, open exit stacks and solve dependencies that it does not have costs a decision a tenth of its time. So
the route stands in the router for the OpenAPI document, and its requests go straight to its function, with the body
that the doorway has read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from features.errors import TiercelError
from serving.errors import problem_response, status_of


class Lane:
    """ASGI layer behind the doorway: `endpoint` answers `method` at `path` and a body, everything else goes on."""

    def __init__(
        self, app: ASGIApp, *, method: str, path: str, endpoint: Callable[[Request, bytes], Awaitable[Response]]
    ) -> None:
        self._app = app
        self._method, self._path = method, path
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != self._path or scope["method"] != self._method:
            await self._app(scope, receive, send)
            return
        try:
            response = await self._endpoint(Request(scope), (await receive())["body"])
        except TiercelError as error:
            if status_of(error)[0] == 500:
                raise  # a defect, which the outermost layer tells
            response = problem_response(error)
        await response(scope, receive, send)
