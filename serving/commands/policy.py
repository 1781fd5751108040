"""`tiercel policy`: what the bank decides, dated."""

from __future__ import annotations

import typer

from serving.commands.options import HOME, Day, Home, Json
from serving.commands.telling import USER_MISTAKE, say, told

app = typer.Typer(no_args_is_help=True, help="The dated policy: check it.")


@app.command("check", epilog="example: tiercel policy check")
@told
def policy_check(as_of: Day = None, home: Home = HOME, as_json: Json = False) -> None:
    """Prove the policy: every id, predicate, cell, journey and reward, on every day on which something changes."""
    from serving import jobs

    findings = jobs.check_policy(home, as_of.date() if as_of else None)
    lines = [str(finding) for finding in findings]
    say("\n".join(lines) or "the policy holds together", lines, as_json=as_json)
    if findings:
        raise typer.Exit(USER_MISTAKE)


@app.command("tags", epilog="example: tiercel policy tags")
@told
def policy_tags(as_of: Day = None, home: Home = HOME, as_json: Json = False) -> None:
    """Show every tag with what it means, who answers for it, how many days it lives and who may see it."""
    from features.segments.tags import registry
    from serving import jobs

    book = jobs.segments_book(home)
    rows = registry(book.view(as_of.date() if as_of else max(book.dates())).tags)
    lines = [f"{row['tag']} {row['zh']} ({row['owner']}, {row['expires_days']} days, {row['sensitivity']}): "
             f"{row['definition']}" for row in rows]  # fmt: skip
    say("\n".join(lines), rows, as_json=as_json)
