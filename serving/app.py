"""The application: routes and pages, problems, the doorway before them, and what lives as long as the process.

uvicorn --factory --http serving.envelope:Enveloping serving.app:app_from_environment
"""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import FastAPI

from features.errors import TiercelError
from serving.api import cells, consents, customers, decision_log, decisions, health, offers, responses, tags
from serving.api.documents import ConsentChanges, DecisionRequest, Response
from serving.api.openapi import describe
from serving.console import cells as cell_pages
from serving.console import customers as customer_pages
from serving.console import doors, idleness, lists, matrix, model_drift, models, statics
from serving.console.sessions import Sessions
from serving.desk.deciding import Desk
from serving.doorway import Doorway
from serving.errors import tell_errors
from serving.lane import Lane
from serving.matrix.cell_figures import FigureBook
from serving.models.model_book import ModelBook
from serving.portrait.months import Shelf
from serving.provenance import code_version
from serving.security import KeyRing
from serving.settings import Settings, clock_of, read_settings

_log = logging.getLogger("tiercel.serving")
_SWITCH_SECONDS = 0.0005  # Python's 5 ms would let the ledger's thread wait as long at each of its dozen calls
_ROUTERS = (
    decisions.router, decision_log.router, responses.router, customers.router, tags.router, consents.router,
    cells.router,
    offers.router, health.router, statics.router, doors.router, matrix.router, cell_pages.router,
    lists.router, customer_pages.router, model_drift.router, idleness.router, models.router, models.promotions,
    doors.nowhere,
)  # fmt: skip


def create_app(settings: Settings, desk: Desk | None = None) -> FastAPI:
    """The API of one home, at `desk` if it is open already.

    It starts without a release and answers 503 until one is switched to.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.keys = KeyRing(settings.home)
        app.state.desk = desk or Desk.open(settings, clock_of(settings))
        app.state.figures = FigureBook(app.state.desk.home, app.state.desk.clock)
        app.state.models = ModelBook(app.state.desk.home)
        app.state.months = Shelf(settings.home.resolve())
        watching = asyncio.create_task(_watch(app, settings.refresh_seconds))
        try:
            yield
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
            app.state.months.close()
            app.state.desk.close()
            gc.unfreeze()  # what is left is let go at the end, in its order

    app = FastAPI(
        title="Tiercel",
        version=code_version(),
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # its pages fetch their scripts from outside, which a bank's network does not allow
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # else each request reads the environment for it
    )
    app.state.sessions = Sessions(settings.home.resolve())
    app.add_middleware(Lane, method="POST", path=decisions.router.prefix, endpoint=decisions.answer_decisions)
    app.add_middleware(Doorway, body_limit_bytes=settings.body_limit_bytes, max_in_flight=settings.max_in_flight)
    for router in _ROUTERS:
        app.include_router(router)
    tell_errors(app)
    describe(app, ConsentChanges, DecisionRequest, Response)
    return app


def opened_app(settings: Settings) -> FastAPI:
    """The API of a home that is opened now, for a process that does nothing else; raises why it cannot be opened."""
    desk = Desk.open(settings, clock_of(settings))
    desk.ledger.post_apart()
    sys.setswitchinterval(_SWITCH_SECONDS)
    gc.collect()
    gc.freeze()  # a release lives as long as the process: collections need not look at it
    return create_app(settings, desk)


def app_from_environment() -> FastAPI:
    """The API of the home that the environment names; a home that cannot be opened ends the process with a sentence."""
    try:
        return opened_app(read_settings())
    except TiercelError as error:
        sys.stderr.write(f"tiercel: {error}\n")
        raise SystemExit(2) from error


async def _watch(app: FastAPI, seconds: float) -> None:
    """Follow the release pointer and the key file; a release that cannot be opened leaves the one that answers."""
    while True:
        await asyncio.sleep(seconds)
        try:
            app.state.keys.refresh()
            await asyncio.to_thread(app.state.desk.refresh)
        except Exception as error:  # whatever it is, the watch goes on; the message may name data, so its kind alone
            _log.warning("a changed release or key file was not taken up: %s", type(error).__name__)
