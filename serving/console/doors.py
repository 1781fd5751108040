"""The ways in and out: signing in with a key, the one-time link of the demo, signing out."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from serving.console.pages import HOME, PageRoute, form, html, to
from serving.console.sessions import COOKIE, LASTS, Sessions
from serving.errors import NoKey, NoRoute
from serving.key_file import Role
from serving.security import KeyRing

INVITED: Role = "marketing"  # whom the one-time link lets in
router = APIRouter(prefix="/console", include_in_schema=False, route_class=PageRoute)
nowhere = APIRouter(prefix="/console", include_in_schema=False, route_class=PageRoute)  # after all other pages


@router.get("")
@router.get("/")
async def begin() -> Response:
    """The first page."""
    return to(HOME)


@router.get("/login")
async def ask_key(request: Request) -> Response:
    """The form that asks for a key."""
    return html(request, "login.html", 200, next=_inside(request.query_params.get("next")), is_wrong=False)


@router.post("/login")
async def take_key(request: Request) -> Response:
    """A session for the holder of the key, and the page that he wanted."""
    fields = await form(request, word_wanted=False)
    ring: KeyRing = request.app.state.keys
    wanted = _inside(fields.get("next"))
    try:
        ticket = ring.ticket(f"Bearer {fields.get('key', '').strip()}")
    except NoKey:
        return html(request, "login.html", 401, next=wanted, is_wrong=True)
    return _in(request, ticket, wanted)


@router.get("/enter/{word}")
async def show_door(request: Request, word: str) -> Response:
    """What the one-time link leads to; nothing is spent by looking, as mail filters and previews do."""
    sessions: Sessions = request.app.state.sessions
    stands = sessions.accepts(word)
    return html(request, "enter.html", 200 if stands else 410, word=word, stands=stands, role=INVITED)


@router.post("/enter/{word}")
async def go_in(request: Request, word: str) -> Response:
    """A session, once."""
    await form(request, word_wanted=False)
    sessions: Sessions = request.app.state.sessions
    ring: KeyRing = request.app.state.keys
    ticket = ring.ticket_of(INVITED)
    if ticket is None or not sessions.spend(word):
        return html(request, "enter.html", 410, word=word, stands=False, role=INVITED)
    return _in(request, ticket, HOME)


@router.post("/logout")
async def go_out(request: Request) -> Response:
    """The session ends, for this browser and for any copy of its cookie."""
    await form(request)
    sessions: Sessions = request.app.state.sessions
    sessions.leave(request.cookies.get(COOKIE))
    response = to("/console/login")
    response.delete_cookie(COOKIE, path="/console")
    return response


@nowhere.get("/{path:path}")
async def say_nowhere(path: str) -> Response:
    """What a mistyped or an old address leads to."""
    raise NoRoute("no page at this address", value=f"/console/{path}", todo="begin at the matrix",
                  zh=f"没有 /console/{path} 这个页面")  # fmt: skip


def _in(request: Request, ticket: str, path: str) -> Response:
    sessions: Sessions = request.app.state.sessions
    response = to(path)
    response.set_cookie(COOKIE, sessions.begin(ticket), max_age=int(LASTS.total_seconds()), path="/console",
                        httponly=True, samesite="strict", secure=request.url.scheme == "https")  # fmt: skip
    return response


def _inside(path: str | None) -> str:
    """A page of the console, and never an address that leads out of it.

    >>> _inside("/console/customers/C1"), _inside("//evil.example/console/"), _inside("/console/../v1")
    ('/console/customers/C1', '/console/matrix', '/console/matrix')
    """
    is_ours = path is not None and path.startswith("/console/") and not {"..", "\\", "//"} & _pairs(path)
    return path if is_ours and path is not None else HOME


def _pairs(text: str) -> set[str]:
    return {text[i : i + 2] for i in range(len(text))} | set(text)
