"""A promotion or a way back that somebody asked for on a page: done by a process of its own, told by a file.

    reports/promotions/<id>/asked.json     who asked for what, and when
    reports/promotions/<id>/ended.json     what it came to: the gates as they were answered, and the release
    reports/promotions/<id>/.lock          held while the process works; free without an end, it was broken off

`python -m serving.models.promoting FOLDER` does what asked.json says: asks every gate again, moves the alias, cuts a
release and switches to it.
"""

from __future__ import annotations

import fcntl
import json
import secrets
import subprocess
import sys
import threading
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from features.bank.whole_files import whole
from features.errors import NotFound, TiercelError
from serving.settings import Clock, clock_of, read_settings

Plain = dict[str, Any]
What = Literal["promote", "back"]
ASKED, ENDED, _LOCK = "asked.json", "ended.json", ".lock"
_ID_BYTES = 4


def ask(home: Path, clock: Clock, what: What, model: str, version: int | None, who: str) -> str:
    """Begin a promotion of `version`, or the way back of `model`, in the name of `who`; its id."""
    asked_at = clock.now()
    name = f"{asked_at:%Y%m%dT%H%M%S%f}-{secrets.token_hex(_ID_BYTES)}"  # a clock that stands moves by microseconds
    folder = _folder(home) / name
    asked = {
        "what": what, "model": model, "version": version, "who": who, "asked_at": asked_at.isoformat(),
        "is_live": clock.is_live,
    }  # fmt: skip
    with whole(folder / ASKED) as half:
        half.write_text(json.dumps(asked), "utf-8")
    lock = (folder / _LOCK).open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the process inherits it, so that there is no moment in which it looks broken
        process = subprocess.Popen(
            [sys.executable, "-m", "serving.models.promoting", str(folder)], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True, pass_fds=[lock.fileno()],
        )  # fmt: skip
    threading.Thread(target=process.wait, daemon=True).start()
    return name


def standing(home: Path, name: str) -> Plain:
    """What was asked under an id and how it stands: RUNNING, DONE, REFUSED or BROKEN_OFF; raises NotFound."""
    folder = _folder(home) / name
    if Path(name).name != name or not (folder / ASKED).exists():
        raise NotFound("no promotion of this id", value=name, zh=f"没有编号为 {name} 的上线申请")
    is_running = _is_held(folder / _LOCK)
    told: Plain = {"id": name, **json.loads((folder / ASKED).read_text("utf-8"))}
    if (folder / ENDED).exists():
        return {**told, **json.loads((folder / ENDED).read_text("utf-8"))}
    state = "RUNNING" if is_running else "BROKEN_OFF"
    return told | {"state": state, "says": "", "says_zh": "", "gates": [], "release": None}


def latest(home: Path, n: int) -> list[Plain]:
    """The last `n` that were asked for, the newest first."""
    names = sorted((path.parent.name for path in _folder(home).glob(f"*/{ASKED}")), reverse=True)
    return [standing(home, name) for name in names[:n]]


def main() -> None:
    """Do what the folder named by the first argument asks, and write there what it came to."""
    folder = Path(sys.argv[1]).resolve()
    home, asked = folder.parents[2], json.loads((folder / ASKED).read_text("utf-8"))
    try:
        ended = _done(home, asked)
    except TiercelError as error:
        verdict = getattr(error, "verdict", None)
        gates = [gate.to_json() for gate in verdict.gates] if verdict else []
        says_zh = verdict.says_zh if verdict else error.zh
        ended = {"state": "REFUSED", "says": str(error), "says_zh": says_zh, "gates": gates, "release": None}
    except Exception as error:  # nobody reads what this process prints; the message may name data, so its kind alone
        ended = {"state": "BROKEN_OFF", "says": type(error).__name__, "gates": [], "release": None}
    with whole(folder / ENDED) as half:
        half.write_text(json.dumps(ended), "utf-8")


def _done(home: Path, asked: Plain) -> Plain:
    from serving import jobs
    from training import promotion, registry

    gates: list[Plain] = []
    if asked["what"] == "promote":
        done = promotion.promote(home, asked["model"], asked["version"], asked["who"])
        number, gates = done.version.version, [gate.to_json() for gate in done.gates]
    else:
        number = registry.dethrone(home, asked["model"]).version
    at = Clock(datetime.fromisoformat(asked["asked_at"]))
    release, _ = jobs.cut_release(home, clock_of(read_settings(home=home)) if asked["is_live"] else at)
    says = f"{asked['model']} version {number} is champion; {release.id} is current"
    says_zh = f"{asked['model']} 第 {number} 版成为冠军；当前发布为 {release.id}"
    told = {"state": "DONE", "says": says, "says_zh": says_zh, "gates": gates, "release": release.id}
    return told | {"version": number}


def _folder(home: Path) -> Path:
    return home / "reports" / "promotions"


def _is_held(path: Path) -> bool:
    with suppress(FileNotFoundError), path.open("r+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


if __name__ == "__main__":
    main()
