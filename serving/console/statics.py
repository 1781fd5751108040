"""Style, script and mark of the console, read once, under addresses that change with their content."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

from serving.errors import NoRoute

_FOLDER = Path(__file__).parent / "static"
_MEDIA = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FOR_EVER = "public, max-age=31536000, immutable"
router = APIRouter(prefix="/console/static", include_in_schema=False)


def address(name: str) -> str:
    """Where a browser finds a file; another content has another address."""
    return f"/console/static/{name}?{hashlib.sha256(_files()[name]).hexdigest()[:12]}"


@router.get("/{name}")
async def give(name: str) -> Response:
    """One file; nobody is asked who he is, since nothing in it is of any customer."""
    if name not in _files():
        raise NoRoute("no resource at this path", todo="/console/matrix is the first page")
    headers = {"Cache-Control": _FOR_EVER, "X-Content-Type-Options": "nosniff"}
    return Response(_files()[name], media_type=_MEDIA[Path(name).suffix], headers=headers)


@lru_cache(maxsize=1)
def _files() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in _FOLDER.iterdir() if path.suffix in _MEDIA}
