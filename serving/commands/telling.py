"""How a command speaks: one answer for people or programs, a bar while it works, a mistake in one sentence."""

from __future__ import annotations

import errno
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec

import typer
from rich.console import Console, RenderableType
from rich.text import Text

from features.errors import NotReady, TiercelError

P = ParamSpec("P")
USER_MISTAKE = 2
_NO_ROOM = ("IOException", "OutOfMemoryException")  # of DuckDB, which no command should load to speak


def told(command: Callable[P, None]) -> Callable[P, None]:
    """The command, a mistake told in one sentence and exit code 2 instead of a traceback."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except TiercelError as error:
            _tell(error)
            raise typer.Exit(USER_MISTAKE) from error
        except Exception as error:
            if (refused := _refusal(error)) is None:
                raise
            _tell(refused)
            raise typer.Exit(USER_MISTAKE) from error

    return run


def _tell(error: TiercelError) -> None:
    Console(stderr=True, soft_wrap=True).print(f"tiercel: {error}", markup=False, highlight=False)


def _refusal(error: Exception) -> NotReady | None:
    """What the machine refused (no room, no right, no such place), as one sentence; None for a defect of ours."""
    is_file = isinstance(error, OSError) and error.errno != errno.EPIPE  # a closed pipe is no mistake
    if not is_file and type(error).__name__ not in _NO_ROOM:
        return None
    told = " ".join(str(error).split())[:500]
    return NotReady("the machine refused a file", value=told,
                    todo=f"make room or choose another folder, then run it again; the work lies in "
                    f"{tempfile.gettempdir()} meanwhile, or where TMPDIR says")  # fmt: skip


def say(text: str, data: object, *, as_json: bool) -> None:
    """One answer: `text` for people or `data` for programs."""
    if as_json:
        sys.stdout.write(json.dumps(data, default=str, ensure_ascii=False) + "\n")
    else:
        Console(soft_wrap=True).print(text, markup=False, highlight=False)


def show(*parts: RenderableType, as_json: bool = False) -> None:
    """Tables and sentences for people; where no terminal says how wide, tables take what they need."""
    if as_json:
        return
    out = Console()
    if not out.is_terminal:
        out = Console(width=160)
    for part in parts:
        out.print(part, soft_wrap=isinstance(part, str | Text), markup=False)


@contextmanager
def progress(title: str, *, as_json: bool = False) -> Iterator[Callable[[str, float], None]]:
    """A bar on the terminal's error stream while something long runs; plain lines where there is no terminal."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=as_json, transient=False) as bar:
        task = bar.add_task(title, total=1.0)

        def moved(what: str, share: float) -> None:
            bar.update(task, completed=share, description=title if share >= 1 else f"{title}: {what}")

        yield moved
