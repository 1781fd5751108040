"""The process that posts beside a server, which `poster.py` starts:

    python -m serving.ledger.attending < where

It reads one line of JSON, where ledger and home are, and ends once its standard input does.
"""

from __future__ import annotations

import json
import logging
import select
import signal
import sys
from pathlib import Path
from typing import IO, Any

from serving.ledger.chain import Chain, pseudonym_key
from serving.ledger.checkpoints import Checkpoints
from serving.ledger.daybook import Daybook
from serving.ledger.engine import open_engines
from serving.ledger.posting import Posting
from serving.ledger.recording import Recorder

EVERY_SECONDS = 0.5  # in small groups a decision takes longer to post; each posting empties readers' caches
_log = logging.getLogger("tiercel.serving")


def attend(url: str, home: Path, lifeline: IO[Any]) -> None:
    """Post twice a second until `lifeline` ends, as it does with its other end's holder; then the rest."""
    engines = open_engines(url)
    daybook = Daybook.of(engines.writer)
    if daybook is None:
        return
    recorder = Recorder(Chain(pseudonym_key(home)), engines.writer.dialect)
    posting, checkpoints = Posting(engines, recorder, daybook), Checkpoints(engines.writer, daybook.file)
    is_last = False
    while not is_last:
        is_last = bool(select.select([lifeline], [], [], EVERY_SECONDS)[0])
        try:
            posting.post()
        except Exception as error:  # a full disk or a held lock is tried again; the message may name data
            _log.warning("what waits in the daybook was not posted: %s", type(error).__name__)
    checkpoints.close()
    posting.close()
    daybook.close()
    engines.dispose()


def main() -> None:
    for asked in (signal.SIGINT, signal.SIGTERM):  # a terminal and a service's keeper tell the server too, and with it
        signal.signal(asked, signal.SIG_IGN)  # the lifeline ends
    where = json.loads(sys.stdin.readline())
    attend(where["url"], Path(where["home"]), sys.stdin)


if __name__ == "__main__":
    main()
