"""The options that many commands share, and the clock they run by."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

Home = Annotated[Path, typer.Option("--home", envvar="TIERCEL_HOME", help="Folder of everything a run makes.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]
Day = Annotated[datetime | None, typer.Option("--as-of", formats=["%Y-%m-%d"], help="Last day that counts.")]
Instant = Annotated[str | None, typer.Option("--as-of", help="Instant at which the clock stands, with its zone.")]
HOME = Path(".tiercel")


def clock(home: Path, instant: str | None = None) -> Any:
    """The clock of a home, or one that stands at `instant`."""
    from serving.settings import clock_of, read_settings

    return clock_of(read_settings(home=home, as_of=instant))
