"""The ledger: what was decided, what went out, what came back; durable before it is answered, chained by hashes."""

from serving.ledger.book import Ledger
from serving.ledger.chain import ChainFault, ChainReport, Head, WrongKey
from serving.ledger.consents import PURPOSES, Word
from serving.ledger.databases import Unreachable
from serving.ledger.engine import LedgerTooNew
from serving.ledger.idempotency import Claim, Finish, OtherBody, StillRunning, StoredAnswer
from serving.ledger.moments import Happening, Moment, MomentOfOne
from serving.ledger.recent import RecentRows
from serving.ledger.recording import AlreadyRecorded
from serving.ledger.rows import (
    BadRow,
    BadRows,
    ConsentReceipt,
    ConsentRow,
    ContactReceipt,
    ContactRow,
    DecisionPage,
    DecisionRow,
    FirstDecision,
    PlacementRow,
    ResponseReceipt,
    ResponseRow,
    StoredDecision,
    StoredPlacement,
)
from serving.ledger.writer import Closed, Overloaded, Unconfirmed, Unwritable

__all__ = [
    "PURPOSES",
    "AlreadyRecorded",
    "BadRow",
    "BadRows",
    "ChainFault",
    "ChainReport",
    "Claim",
    "Closed",
    "ConsentReceipt",
    "ConsentRow",
    "ContactReceipt",
    "ContactRow",
    "DecisionPage",
    "DecisionRow",
    "Finish",
    "FirstDecision",
    "Happening",
    "Head",
    "Ledger",
    "LedgerTooNew",
    "Moment",
    "MomentOfOne",
    "OtherBody",
    "Overloaded",
    "PlacementRow",
    "RecentRows",
    "ResponseReceipt",
    "ResponseRow",
    "StillRunning",
    "StoredAnswer",
    "StoredDecision",
    "StoredPlacement",
    "Unconfirmed",
    "Unreachable",
    "Unwritable",
    "Word",
    "WrongKey",
]
