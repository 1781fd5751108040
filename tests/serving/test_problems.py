"""Every problem has its own type and status, says what is allowed, and tells nothing of the inside."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from features import errors as tree
from serving import errors
from serving.app import create_app
from serving.doorway import Doorway
from serving.errors import PROBLEM_JSON, STATUSES, Overload, problem, status_of
from serving.key_file import make_keys
from serving.settings import Settings
from tests.serving.conftest import Bank
from tests.serving.homes import INSTANT

DECISIONS = "/v1/decisions"


def told(response: httpx.Response, status: int, slug: str) -> Any:
    """The problem of a response, held to what every problem must be."""
    body = response.json()
    assert (response.status_code, body["status"], body["type"]) == (status, status, f"/problems/{slug}")
    assert response.headers["content-type"] == PROBLEM_JSON
    assert {"type", "title", "status", "detail", "trace_id"} <= set(body)
    assert "Traceback" not in response.text
    assert ".py" not in response.text
    return body


def test_unknown_customer_is_404(bank: Bank) -> None:
    body = told(
        bank.ask("POST", DECISIONS, json={"customer_id": "C-NOBODY", "channel": "APP"}), 404, "unknown-customer"
    )
    assert "C-NOBODY" in body["detail"]
    told(bank.ask("GET", "/v1/customers/C-NOBODY"), 404, "unknown-customer")


def test_unknown_channel_is_422_and_lists_those_of_the_policy(bank: Bank) -> None:
    body = told(bank.ask("POST", DECISIONS, json={"customer_id": "C-USUAL", "channel": "FAX"}), 422, "unknown-channel")
    assert body["allowed"] == sorted(bank.desk.rulebook().policy.channels)


def test_unknown_offer_in_the_context_is_422(bank: Bank) -> None:
    asked = {"customer_id": "C-USUAL", "channel": "APP", "context": {"asked": ["NO-SUCH"]}}
    told(bank.ask("POST", DECISIONS, json=asked), 422, "unknown-offer")


def test_unknown_decision_is_404_on_each_of_its_routes(bank: Bank) -> None:
    for method, path in (("GET", ""), ("GET", "/explanation"), ("POST", "/replay")):
        told(bank.ask(method, f"{DECISIONS}/d-none{path}", role="auditor"), 404, "unknown-decision")


def test_unknown_cell_is_404_and_lists_classes_or_stages(bank: Bank) -> None:
    assert "MASS" in told(bank.ask("GET", "/v1/cells/GIANT/GROWTH"), 404, "unknown-cell")["allowed"]
    assert "GROWTH" in told(bank.ask("GET", "/v1/cells/MASS/HEAVEN"), 404, "unknown-cell")["allowed"]


def test_a_body_that_is_not_json_is_400(bank: Bank) -> None:
    for body in (b"", b"{", b"not json", b'{"customer_id": "C-USUAL",}', b"\xff\xfe{}"):
        response = bank.ask("POST", DECISIONS, content=body, headers={"Content-Type": "application/json"})
        told(response, 400, "malformed-json")


def test_invalid_fields_are_422_and_each_is_listed_by_its_path(bank: Bank) -> None:
    asked = {"customer_id": "", "channel": "APP", "limit": 0, "kontext": {}, "explain": "everything"}
    body = told(bank.ask("POST", DECISIONS, json=asked), 422, "invalid-fields")
    assert {error["field"] for error in body["errors"]} == {"customer_id", "limit", "kontext", "explain"}


@pytest.mark.parametrize(
    "asked",
    [{"channel": "APP"}, {"channel": "APP", "customer_id": "A", "customer_ids": ["B"]},
     {"channel": "APP", "customer_ids": []}, {"channel": "APP", "customer_ids": ["A", "A"]},
     [], 7, {"channel": "APP", "customer_id": "a\x00b"}],
)  # fmt: skip
def test_a_request_names_one_customer_or_several_and_each_once(bank: Bank, asked: Any) -> None:
    told(bank.ask("POST", DECISIONS, json=asked), 422, "invalid-fields")


def test_more_than_five_hundred_customers_are_422(bank: Bank) -> None:
    ids = [f"C-{i}" for i in range(501)]
    body = told(bank.ask("POST", DECISIONS, json={"customer_ids": ids, "channel": "APP"}), 422, "too-many-customers")
    assert body["allowed"] == ["up to 500"]
    assert bank.ask("POST", DECISIONS, json={"customer_ids": ids[:500], "channel": "APP"}).status_code == 200


def test_a_body_beyond_the_limit_is_413_whether_its_length_is_declared_or_not(bank: Bank) -> None:
    big = b'{"note": "' + b"x" * (1 << 20) + b'"}'
    media = {"Content-Type": "application/json"}
    told(bank.ask("POST", DECISIONS, content=big, headers=media), 413, "body-too-large")

    def pieces() -> Any:
        for start in range(0, len(big), 65_536):
            yield big[start : start + 65_536]

    told(bank.ask("POST", DECISIONS, content=pieces(), headers=media), 413, "body-too-large")


def test_a_body_that_is_not_declared_as_json_is_415(bank: Bank) -> None:
    body = json.dumps({"customer_id": "C-USUAL", "channel": "APP"})
    for media in ("text/plain", "application/x-www-form-urlencoded", ""):
        told(bank.ask("POST", DECISIONS, content=body, headers={"Content-Type": media}), 415, "unsupported-media-type")
    accepted = bank.ask("POST", DECISIONS, content=body, headers={"Content-Type": "application/json; charset=utf-8"})
    assert accepted.status_code == 200


def test_an_unknown_path_is_404_and_an_unknown_method_405(bank: Bank) -> None:
    told(bank.ask("GET", "/v1/nothing"), 404, "no-route")
    response = bank.ask("DELETE", "/v1/offers")
    assert told(response, 405, "method-not-allowed")["allowed"] == ["GET"]
    assert response.headers["allow"] == "GET"


def test_a_cursor_that_nobody_gave_out_is_422(bank: Bank) -> None:
    for cursor in ("!!!", "A", "SDAxLVAwMQ==", "\u4e2d"):
        told(bank.ask("GET", "/v1/offers", params={"cursor": cursor}), 422, "bad-cursor")


def test_query_parameters_out_of_bounds_are_422(bank: Bank) -> None:
    body = told(bank.ask("GET", "/v1/offers", params={"limit": 0}), 422, "invalid-fields")
    assert body["errors"][0]["field"] == "query.limit"


def test_no_key_is_401_and_a_role_without_the_right_403(bank: Bank) -> None:
    response = bank.client.get("/v1/offers")
    told(response, 401, "no-key")
    assert response.headers["www-authenticate"].startswith("Bearer")
    asked = {"customer_id": "C-USUAL", "channel": "APP"}
    body = told(bank.ask("POST", DECISIONS, role="auditor", json=asked), 403, "not-allowed")
    assert body["allowed"] == ["leader", "marketing", "rm", "service"]


def test_bad_rows_of_a_batch_are_422_and_each_is_listed(bank: Bank) -> None:
    placement = bank.decide()["offers"][0]["placement_id"]
    at = INSTANT.isoformat()
    rows = [
        {"event_id": "E-good", "placement_id": placement, "outcome": "presented", "occurred_at": at},
        {"event_id": "E-bad", "placement_id": "p-none", "outcome": "clicked", "occurred_at": at},
    ]
    body = told(bank.ask("POST", "/v1/responses", json=rows), 422, "bad-rows")
    assert [(error["index"], error["key"]) for error in body["errors"]] == [("1", "E-bad")]


def test_without_a_release_every_route_that_needs_one_is_503_and_says_so(tmp_path: Path) -> None:
    keys = make_keys(tmp_path)
    with TestClient(create_app(Settings(home=tmp_path))) as client:
        head = {"Authorization": f"Bearer {keys['service']}"}
        asked = {"customer_id": "C-USUAL", "channel": "APP"}
        answers = [client.post(DECISIONS, json=asked, headers=head), client.get("/readyz")]
        answers += [client.get(path, headers=head) for path in ("/v1/offers", "/v1/cells", "/v1/customers/C-USUAL")]
        for response in answers:
            told(response, 503, "missing-release")
            assert response.headers["retry-after"] == "1"
        assert client.get("/healthz").json() == {"status": "ok"}


def test_one_request_more_than_fit_is_503_while_health_is_answered() -> None:
    """The doorway around an application that never ends its first request."""
    release = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] != "/healthz":
            await release.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def run() -> list[httpx.Response]:
        doorway = Doorway(slow, body_limit_bytes=1024, max_in_flight=1)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(doorway), base_url="http://bank") as client:
            first = asyncio.create_task(client.get("/v1/offers"))
            await asyncio.sleep(0.01)
            refused, healthy = await client.get("/v1/offers"), await client.get("/healthz")
            release.set()
            return [await first, refused, healthy, await client.get("/v1/offers")]

    first, refused, healthy, later = asyncio.run(run())
    assert [first.status_code, healthy.status_code, later.status_code] == [200, 200, 200]
    told(refused, 503, "overload")
    assert refused.headers["retry-after"] == "1"


def test_a_body_that_does_not_arrive_is_408_and_gives_its_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.doorway.BODY_SECONDS", 0.02)
    media = {"Content-Type": "application/json"}

    async def never_whole() -> AsyncIterator[bytes]:
        yield b'{"customer_id":'
        await asyncio.Event().wait()

    async def reached(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def run() -> list[httpx.Response]:
        doorway = Doorway(reached, body_limit_bytes=1024, max_in_flight=1)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(doorway), base_url="http://bank") as client:
            slow = await client.post(DECISIONS, content=never_whole(), headers=media)
            return [slow, await client.post(DECISIONS, content=b"{}", headers=media)]

    refused, later = asyncio.run(run())
    assert told(refused, 408, "body-too-slow")["allowed"] == ["within 0.02 seconds"]
    assert (refused.headers["connection"], later.status_code) == ("close", 200)


def test_a_body_that_comes_late_in_pieces_is_read_whole_and_one_given_up_gives_its_place_back() -> None:
    media, bodies = {"Content-Type": "application/json"}, []

    async def in_pieces() -> AsyncIterator[bytes]:
        for piece in (b'{"customer_id":', b' "C-USUAL"', b"}"):
            await asyncio.sleep(0.01)
            yield piece

    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async def reached(scope: Any, receive: Any, send: Any) -> None:
        bodies.append(await receive())
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def run() -> httpx.Response:
        doorway = Doorway(reached, body_limit_bytes=1024, max_in_flight=1)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(doorway), base_url="http://bank") as client:
            given_up = asyncio.create_task(client.post(DECISIONS, content=never(), headers=media))
            await asyncio.sleep(0.01)
            given_up.cancel()
            with pytest.raises(asyncio.CancelledError):
                await given_up
            return await client.post(DECISIONS, content=in_pieces(), headers=media)

    assert asyncio.run(run()).status_code == 200
    assert bodies == [{"type": "http.request", "body": b'{"customer_id": "C-USUAL"}', "more_body": False}]


def test_a_defect_is_500_without_a_word_of_where_or_whose(own_bank: Bank, caplog: pytest.LogCaptureFixture) -> None:
    """The table of placements is dropped under the running server: the next decision fails inside."""
    with own_bank.db() as db:
        db.execute("ALTER TABLE do_not_call RENAME TO gone")
    with caplog.at_level(logging.ERROR, "tiercel.serving"):
        response = own_bank.ask("POST", DECISIONS, json={"customer_id": "C-USUAL", "channel": "APP"})
    body = told(response, 500, "error")
    assert "do_not_call" not in response.text
    assert body["trace_id"] in caplog.text
    assert "C-USUAL" not in caplog.text


def every_error(kind: type[tree.TiercelError]) -> list[type[tree.TiercelError]]:
    return [kind, *(leaf for child in kind.__subclasses__() for leaf in every_error(child))]


def test_every_error_of_the_tree_has_a_status_and_a_type_of_its_own() -> None:
    kinds = every_error(tree.TiercelError)
    slugs = [kind.slug for kind in kinds]
    assert len(set(slugs)) == len(slugs)
    makers: dict[type, Callable[[], tree.TiercelError]] = {
        errors.InvalidFields: lambda: errors.InvalidFields([{"field": "a", "message": "b"}]),
    }
    for kind in STATUSES:
        if kind.__name__ != "BadRows":
            error = makers.get(kind, lambda kind=kind: kind("what"))()
            assert problem(error)["status"] == status_of(error)[0]


def test_our_own_mistakes_are_never_blamed_on_the_caller() -> None:
    for kind in every_error(tree.TiercelError):
        if issubclass(kind, tree.NotReady | Overload):
            assert next(STATUSES[k] for k in kind.__mro__ if k in STATUSES)[0] == 503
        if issubclass(kind, tree.UserMistake):
            assert 400 <= next(STATUSES[k] for k in kind.__mro__ if k in STATUSES)[0] < 500
