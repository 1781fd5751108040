"""POST /v1/decisions, one decision by its id, why it came out so, and whether it would again."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError
from starlette.responses import Response

from features.errors import NotAllowed, NotFound
from serving.api.answers import answer, text_of
from serving.api.documents import (
    MOST_CUSTOMERS,
    DecisionAnswer,
    DecisionAnswers,
    DecisionRequest,
    Explanation,
    Replay,
)
from serving.api.openapi import READING, WRITING, body_of, header, problems
from serving.desk.deciding import MOST_ALONE, Desk, Done, unknown_customer
from serving.desk.explaining import explanation
from serving.desk.making import Decided, Inquiry
from serving.desk.records import public_of, told
from serving.disclosure import disclosed
from serving.errors import InvalidFields, TooManyCustomers, UnknownDecision, invalid_fields, problem
from serving.ledger import Claim, Finish, StoredAnswer, StoredDecision
from serving.replay import replay
from serving.security import Actor, asker, asking, can, header_of, require

router = APIRouter(prefix="/v1/decisions", tags=["decisions"])
Reader = Annotated[Actor, Depends(asking("read_decision"))]
Replayer = Annotated[Actor, Depends(asking("replay"))]
_FOUND = problems(404, *READING)
_KEY, _LONGEST_KEY = "Idempotency-Key", 200


@router.post(
    "",
    response_model=None,
    responses={200: {"model": DecisionAnswer | DecisionAnswers}, **problems(404, 409, *WRITING)},
    openapi_extra=body_of("DecisionRequest")
    | header(_KEY, "the same key and body give the same answer", minLength=1, maxLength=_LONGEST_KEY),
)
async def make_decisions(request: Request) -> Response:
    """The next best offers of one customer, or of up to 500, kept before they are told.

    With `dry_run` nothing is written and nothing has an id. The same Idempotency-Key and body give the same answer.
    """
    return await answer_decisions(request, await request.body())


async def answer_decisions(request: Request, body: bytes) -> Response:
    """The same, of a request whose body has been read."""
    started = time.perf_counter()
    actor, idempotency_key = asker(request, "decide"), _key(request)
    asked = _read(body)
    desk: Desk = request.app.state.desk
    if idempotency_key is None or asked.dry_run:
        return _as_json(await _decided(request, actor, asked, started))
    digest = hashlib.sha256(body).hexdigest()
    claim = await asyncio.to_thread(desk.ledger.begin, actor.name, "POST /v1/decisions", idempotency_key, digest)
    if isinstance(claim, StoredAnswer):
        return _as_json(claim.answer.encode(), claim.status)
    try:
        return _as_json(await _decided(request, actor, asked, started, claim))
    except BaseException:
        await asyncio.to_thread(desk.ledger.abandon, claim)
        raise


@router.get("/{decision_id}", response_model=None, responses={200: {"model": DecisionAnswer}, **_FOUND})
async def show_decision(request: Request, actor: Reader, decision_id: str) -> Response:
    """A decision as it was told, without the time it took."""
    stored = await _stored(request, actor, decision_id)
    return answer(disclosed(public_of(stored.row.answer), actor))


@router.get("/{decision_id}/explanation", response_model=None, responses={200: {"model": Explanation}, **_FOUND})
async def explain_decision(request: Request, actor: Reader, decision_id: str) -> Response:
    """Every offer with its reason for or against, what would allow it, and the facts it rests on, as cleared for."""
    stored, desk = await _stored(request, actor, decision_id), request.app.state.desk
    return answer(await asyncio.to_thread(explanation, stored.row, desk.home, desk.ground().segments, actor))


@router.post("/{decision_id}/replay", response_model=None, responses={200: {"model": Replay}, **_FOUND})
async def replay_decision(request: Request, actor: Replayer, decision_id: str) -> Response:
    """Decide again from the stored inputs, under the policy of the release that decided; nothing is written."""
    stored = await _stored(request, actor, decision_id)
    desk: Desk = request.app.state.desk
    return answer((await asyncio.to_thread(replay, desk.home, stored.row)).to_json())


def _key(request: Request) -> str | None:
    key = header_of(request, _KEY.lower().encode())
    if key is not None and not 1 <= len(key) <= _LONGEST_KEY:
        message = f"between 1 and {_LONGEST_KEY} characters"
        raise InvalidFields([{"field": f"header.{_KEY}", "message": message}])
    return key


def _read(body: bytes) -> DecisionRequest:
    try:
        asked = DecisionRequest.model_validate_json(body)
    except ValidationError as error:
        raise invalid_fields(error.errors(include_url=False, include_context=False, include_input=False)) from None
    if asked.customer_ids is not None and len(asked.customer_ids) > MOST_CUSTOMERS:
        raise TooManyCustomers("too many customers in one request", value=len(asked.customer_ids),
                               allowed=f"up to {MOST_CUSTOMERS}", todo="send several requests")  # fmt: skip
    return asked


async def _decided(
    request: Request, actor: Actor, asked: DecisionRequest, started: float, claim: Claim | None = None
) -> bytes:
    """The answer, once its decisions are kept; a claimed key is finished in the transaction that keeps them."""
    desk: Desk = request.app.state.desk
    if asked.customer_ids is None:
        require(actor, "decide", asked.customer_id)
        ids: Sequence[str] = [str(asked.customer_id)]
    else:
        ids = [customer for customer in asked.customer_ids if can(actor, "decide", customer)]
    desk.waking.asked()
    if asked.dry_run:
        done = await _decide(desk, Inquiry(asked, ids))
        desk.few.answered()
        desk.waking.answered()
        return _told(asked, actor, done.decided, started)
    await desk.turns.begin(ids)
    try:
        done = await _decide(desk, Inquiry(asked, ids, actor.name, is_kept_at_once=claim is None))
        body = _told(asked, actor, done.decided, started)
        await _kept(desk, done, None if claim is None else Finish(claim, 200, body.decode()))
    finally:
        desk.turns.end(ids)
        desk.few.answered()
        desk.waking.answered()
    return body


async def _decide(desk: Desk, inquiry: Inquiry) -> Done:
    """The decisions: a few on the event loop itself, with those of the other requests that have come in.

    A thread would take longer.
    """
    if len(inquiry.customer_ids) <= MOST_ALONE:
        return await desk.few.ask(inquiry)
    return Done(await asyncio.to_thread(desk.decide, inquiry))


async def _kept(desk: Desk, done: Done, finish: Finish | None) -> None:
    """Return once the decisions are on the disk, all of them; raises with none of them written, or unconfirmed."""
    if done.trouble is not None:
        raise done.trouble
    rows = done.decided.rows
    if finish is not None or (rows and not done.is_kept):
        await asyncio.wrap_future(desk.ledger.record(rows, finish=finish))


def _told(asked: DecisionRequest, actor: Actor, decided: Decided, started: float) -> bytes:
    if asked.customer_ids is None:
        if decided.unknown:
            raise unknown_customer(decided.unknown[0])
        return _timed(told(decided.kept[str(asked.customer_id)], asked.explain, actor), started)
    found = [
        _timed(told(decided.kept[c], asked.explain, actor), started) for c in asked.customer_ids if c in decided.kept
    ]
    errors = text_of([_refusal(c, decided) for c in asked.customer_ids if c not in decided.kept])
    return b'{"decisions":[%b],"errors":%b}' % (b",".join(found), errors.encode())


def _timed(body: bytes, started: float) -> bytes:
    """The answer with the milliseconds up to here; spliced, so that the rest is written once."""
    took_ms = (time.perf_counter() - started) * 1_000
    return b'%b,"took_ms":%.3f}' % (body[:-1], took_ms)


def _refusal(customer_id: str, decided: Decided) -> dict[str, Any]:
    known = customer_id in decided.unknown
    why = unknown_customer(customer_id) if known else NotAllowed("the customer is not in the caller's book")
    return {"customer_id": customer_id, "problem": problem(why)}


def _as_json(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type="application/json")


async def _stored(request: Request, actor: Actor, decision_id: str) -> StoredDecision:
    desk: Desk = request.app.state.desk
    try:
        stored = await asyncio.to_thread(desk.ledger.decision, decision_id)
    except NotFound:
        raise UnknownDecision("no decision of this id", value=decision_id) from None
    require(actor, "read_decision", stored.row.customer_id)
    return stored
