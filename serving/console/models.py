"""Models for people: those in use, champion beside challenger, a version with its gates, promotion and the way back."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import date
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response

from features.errors import NotAllowed, NotFound, NotReady
from serving.console import drawing
from serving.console.heads import Plain
from serving.console.idleness import idleness
from serving.console.pages import PageRoute, form, page, to, visitor
from serving.desk.deciding import Desk
from serving.models import promoting
from serving.models.advice_use import RULES
from serving.models.model_book import ModelBook
from serving.models.models_in_use import CHALLENGER, CHAMPION, card, in_use, mark_of, shadow_of, waiting, with_alias
from serving.releases import Release
from serving.security import Actor, can

PAGE = "/console/models"
_LATEST = 5  # promotions that a page names
# A report is a page of its own, written by whoever trained: it may show its pictures and its style, and do nothing.
_CAGE = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'"
router = APIRouter(prefix=PAGE, include_in_schema=False, route_class=PageRoute)
promotions = APIRouter(prefix="/console/promotions", include_in_schema=False, route_class=PageRoute)


@router.get("")
async def show_models(request: Request) -> Response:
    """The models that decisions stand on, and those that wait."""
    actor = visitor(request, "read_models")
    release, on, zone = _stands(request)
    versions = await _versions(request)
    use = (await idleness(_desk(request)))["models"]
    data: Plain = {
        "release_id": release.id if release else None, "as_of": release.as_of.isoformat() if release else None,
        "models": in_use(release, versions, on, zone), "waiting": waiting(release, versions),
        "promotions": await asyncio.to_thread(promoting.latest, _desk(request).home, _LATEST),
        "idle": [row for row in use if row["use"] == "IDLE" and row["model"] != RULES],
    }  # fmt: skip
    drawn = {row["model"]: drawing.whiskers(row["version"]["figures"]) for row in data["models"] if row["version"]}
    return page(request, "models.html", data, actor, drawn=drawn)


@router.get("/{model}")
async def show_model(request: Request, model: str) -> Response:
    """Champion and challenger beside each other, the paired difference, and every version there was."""
    actor = visitor(request, "read_models")
    data = await _model(request, model)
    champion, challenger = data["champion"], data["challenger"]
    beside = {name: one["figures"]["ours"] for name, one in ((CHAMPION, champion), (CHALLENGER, challenger))
              if one and "ours" in one["figures"]}  # fmt: skip
    difference, compared = data["difference"], data["shadow"]["compared"]
    live = compared["less_auc"] if compared else None
    return page(
        request, "model.html", data, actor, drawn=drawing.whiskers(beside), may_promote=can(actor, "promote"),
        apart=drawing.whiskers({"difference": difference}, zero=0.0) if difference else (),
        live=drawing.whiskers({"difference": live}, zero=0.0) if live else (), live_mark=mark_of(live),
    )  # fmt: skip


@router.get("/{model}/{version:int}")
async def show_version(request: Request, model: str, version: int) -> Response:
    """One version: who answers for it, every gate by how much, its figures, its groups and its report."""
    actor = visitor(request, "read_models")
    found, (release, on, zone) = await _version(request, model, version), _stands(request)
    told = card(found, on, zone)
    data = told | {
        "release_id": release.id if release else None, "as_of": release.as_of.isoformat() if release else None,
        "gates": found["gates"], "slices": found["slices"], "suspicions": found["suspicions"], "facts": found["facts"],
        "refusal": _refusal(actor, told),
    }  # fmt: skip
    return page(request, "version.html", data, actor, drawn=drawing.whiskers(told["figures"]))


@router.get("/{model}/{version:int}/report")
async def show_report(request: Request, model: str, version: int) -> Response:
    """The report that the training wrote, as it stands, in a page that can run nothing."""
    visitor(request, "read_models")
    found, place = await _version(request, model, version), (_desk(request).home / "mlflow").resolve()
    path = Path(found["report"]).resolve() if found["report"] else None
    if path is None or not path.is_relative_to(place) or not path.is_file():
        raise NotFound("this version kept no report", value=f"{model} {version}", todo="train again",
                       zh=f"模型 {model} 第 {version} 版没有保存报告，请重新训练")  # fmt: skip
    text = await asyncio.to_thread(path.read_bytes)
    return Response(text, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": _CAGE})


@router.post("/{model}/{version:int}/promote")
async def promote(request: Request, model: str, version: int) -> Response:
    """Every gate is asked again, in the name of who asks; the page that follows tells how it ends."""
    actor = visitor(request, "promote")
    await form(request)
    _, on, zone = _stands(request)
    told = card(await _version(request, model, version), on, zone)
    if _refusal(actor, told) not in (None, "STANDS"):
        raise NotAllowed("a model is approved by a second person, whose key names him", value=actor.name,
                         todo="`tiercel keys add NAME --role compliance` makes such a key",
                         zh="模型须由作者以外、密钥载明姓名的第二人批准")  # fmt: skip
    return await _asked(request, "promote", model, version, actor)


@router.post("/{model}/back")
async def go_back(request: Request, model: str) -> Response:
    """The champion before this one takes its place again, and a release is cut with it."""
    actor = visitor(request, "promote")
    await form(request)
    await _model(request, model)
    return await _asked(request, "back", model, None, actor)


@promotions.get("/{name}")
async def show_promotion(request: Request, name: str) -> Response:
    """How a promotion or a way back stands; the page comes again until it has ended."""
    actor = visitor(request, "read_models")
    data = await asyncio.to_thread(promoting.standing, _desk(request).home, name)
    return page(request, "promotion.html", data, actor)


async def _asked(request: Request, what: promoting.What, model: str, version: int | None, actor: Actor) -> Response:
    desk = _desk(request)
    name = await asyncio.to_thread(promoting.ask, desk.home, desk.clock, what, model, version, actor.name)
    return to(f"/console/promotions/{quote(name, safe='')}")


async def _model(request: Request, model: str) -> Plain:
    release, on, zone = _stands(request)
    versions = [one for one in await _versions(request) if one["model"] == model]
    if not versions:
        raise NotFound("no model of this name was ever trained", value=model, todo="`tiercel train` trains them",
                       zh=f"从未训练过名为 {model} 的模型")  # fmt: skip
    champion, challenger = (with_alias(versions, model, alias) for alias in (CHAMPION, CHALLENGER))
    cards = {one["version"]: card(one, on, zone) for one in versions}
    told = cards[challenger["version"]] if challenger else None
    difference = told["less"].get(CHAMPION) if told else None
    return {
        "release_id": release.id if release else None, "as_of": release.as_of.isoformat() if release else None,
        "model": model, "champion": cards[champion["version"]] if champion else None, "challenger": told,
        "difference": difference, "mark": mark_of(difference), "versions": list(cards.values()),
        "shadow": await asyncio.to_thread(shadow_of, _desk(request).home, release, model),
    }  # fmt: skip


async def _version(request: Request, model: str, version: int) -> Plain:
    versions = [one for one in await _versions(request) if one["model"] == model]
    found = next((one for one in versions if one["version"] == version), None)
    if found is None:
        known = [one["version"] for one in versions]
        raise NotFound("no such version", value=f"{model} {version}", allowed=known or "none yet",
                       zh=f"模型 {model} 没有第 {version} 版")  # fmt: skip
    return found


def _refusal(actor: Actor, told: Plain) -> str | None:
    """Why `actor` may not promote a version: STANDS, OUTSIDE, ROLE, UNNAMED, AUTHOR; None where he may."""
    if CHAMPION in told["aliases"]:
        return "STANDS"
    if told["trained_as_of"] is None:
        return "OUTSIDE"
    if not can(actor, "promote"):
        return "ROLE"
    if actor.holder in ("", actor.role):  # a key that a whole role shares bears its name
        return "UNNAMED"
    return "AUTHOR" if actor.holder.strip().casefold() == str(told["author"]).strip().casefold() else None


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


async def _versions(request: Request) -> list[Plain]:
    book: ModelBook = request.app.state.models
    return await book.versions()


def _stands(request: Request) -> tuple[Release | None, date, ZoneInfo]:
    """The release that decisions stand on, None before the first; the day; the bank's zone."""
    desk = _desk(request)
    now = desk.clock.now()
    with suppress(NotReady):
        ground = desk.ground()
        return ground.release, ground.business_day(now), ground.zone
    return None, now.date(), ZoneInfo("UTC")
