"""How a page is answered: for whom, in which language, as HTML or as JSON, with which headers; how errors are told."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import lru_cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

from fastapi import Request, Response
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse

from features.errors import TiercelError
from serving.api.answers import answer
from serving.console import formats
from serving.console.sessions import COOKIE, Sessions
from serving.console.statics import address
from serving.console.words import LANGUAGES, Language, named, preferred, word
from serving.errors import NoKey, problem, problem_response
from serving.security import Action, Actor, KeyRing, asker, can, require

LANGUAGE_COOKIE = "tiercel_language"
HOME = "/console/matrix"
_POLICY = "default-src 'self'; base-uri 'none'; object-src 'none'; form-action 'self'; frame-ancestors 'none'"
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Accept, Accept-Language, Cookie",
}
_TEMPLATES = Path(__file__).parent / "templates"


class PageRoute(APIRoute):
    """A route of the console: errors become pages, and every answer carries the console's headers."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                response = await handle(request)
            except TiercelError as error:
                response = _told(request, error)
            for name, value in _HEADERS.items():
                response.headers.setdefault(name, value)
            return response

        return answered


def visitor(request: Request, action: Action, customer_id: str | None = None) -> Actor:
    """Who looks at a page: by his session, or by the key that a program sends; raises NoKey and NotAllowed."""
    ring: KeyRing = request.app.state.keys
    sessions: Sessions = request.app.state.sessions
    ticket = sessions.ticket(request.cookies.get(COOKIE))
    actor = ring.by_ticket(ticket) if ticket is not None else None
    if actor is None:
        actor = asker(request, action)
    require(actor, action, customer_id)
    return actor


def language_of(request: Request) -> Language:
    """The language in which the page is told."""
    return preferred(
        request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language")
    )


def wants_json(request: Request) -> bool:
    """Whether the page is asked for as data."""
    if "format" in request.query_params:
        return request.query_params["format"] == "json"
    accept = request.headers.get("accept", "")
    return "application/json" in accept and "text/html" not in accept


def page(request: Request, template: str, data: Any, actor: Actor | None = None, **view: Any) -> Response:
    """`data` as JSON or as the page that `template` makes of it; `view` is what the page draws besides."""
    if wants_json(request):
        return answer(data)
    return html(request, template, 200, data=data, actor=actor, **view)


def html(request: Request, template: str, status: int, **values: Any) -> Response:
    """The page of a template; a language that was asked for is kept for the next one."""
    language = language_of(request)
    cookie = request.cookies.get(COOKIE)
    sessions: Sessions = request.app.state.sessions
    text = (
        environment(language)
        .get_template(template)
        .render(
            path=request.url.path,
            other_language=_link(request, lang=next(other for other in LANGUAGES if other != language)),
            form_word=sessions.form_word(cookie) if cookie else "",
            **({"actor": None} | values),
        )
    )
    response = HTMLResponse(text, status)
    if request.query_params.get("lang") in LANGUAGES:
        response.set_cookie(LANGUAGE_COOKIE, language, path="/console", httponly=True, samesite="strict",
                            secure=request.url.scheme == "https")  # fmt: skip
    return response


async def form(request: Request, *, word_wanted: bool = True) -> dict[str, str]:
    """The fields of a form that one of our own pages sent; raises ForeignForm for any other."""
    fields = {name: values[-1] for name, values in parse_qs((await request.body()).decode("utf-8", "replace")).items()}
    sessions: Sessions = request.app.state.sessions
    sessions.check_form(request, fields.get("word") if word_wanted else None, word_wanted=word_wanted)
    return fields


def to(path: str) -> RedirectResponse:
    """The answer that sends the browser on, with GET."""
    return RedirectResponse(path, 303)


@lru_cache(maxsize=len(LANGUAGES))
def environment(language: Language) -> Environment:
    """The templates with the words and figures of a language; an undefined name in one is an error."""
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    made.globals |= {"t": partial(_word, language), "named": partial(_named, language), "lang": language,
                     "static": address, "may": can}  # fmt: skip
    made.filters |= {
        "count": formats.count, "amount": partial(_amount, language), "share": formats.share, "chance": formats.chance,
        "plain": formats.plain, "figure": formats.figure, "signed": formats.signed, "segment": partial(quote, safe=""),
    }  # fmt: skip
    return made


def _word(language: Language, key: str, **values: object) -> str:
    return word(key, language, **values)


def _named(language: Language, key: str, fallback: str | None = None) -> str:
    return named(key, language, fallback)


def _amount(language: Language, value: float | None) -> str:
    return formats.amount(value, language)


def _link(request: Request, **changed: str) -> str:
    """The address of this page with some of its questions changed."""
    return f"{request.url.path}?{urlencode(dict(request.query_params) | changed)}"


def _told(request: Request, error: TiercelError) -> Response:
    """An error as a problem for programs; for people as a page, or the way to sign in."""
    if wants_json(request) or "authorization" in request.headers:
        return problem_response(error)
    if isinstance(error, NoKey):
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return to(f"/console/login?next={quote(asked, safe='')}" if request.method == "GET" else "/console/login")
    said = problem(error)
    if said["status"] == 500:
        raise error
    is_zh = language_of(request) == "zh" and bool(error.zh)
    sentence = error.zh if is_zh else f"{said['title']}: {said['detail']}"
    return html(request, "problem.html", said["status"], problem=said, sentence=sentence, is_english=not is_zh)
