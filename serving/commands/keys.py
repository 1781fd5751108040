"""`tiercel keys`: who may come in, as what, to which customers, from where."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from serving.commands.options import HOME, Home, Json
from serving.commands.telling import say, told

app = typer.Typer(help="API keys: made for roles, handed out to people, listed, taken back.")


@app.callback(invoke_without_command=True, epilog="example: tiercel keys")
@told
def keys(context: typer.Context, home: Home = HOME, as_json: Json = False) -> None:
    """Make an API key for each role that has none, and show the new ones once."""
    from serving.key_file import make_keys, roles_with_keys

    if context.invoked_subcommand is not None:
        return
    standing = roles_with_keys(home)
    made = {role: token for role, token in make_keys(home).items() if role not in standing}
    lines = [f"{role:<11} {token}" for role, token in made.items()]
    say("\n".join(lines) or f"every role has its key in {home / 'keys'}", made, as_json=as_json)


@app.command(epilog="example: tiercel keys add chen.yu --role rm --book chen.txt --external")
@told
def add(
    name: Annotated[str, typer.Argument(help="Whose key it is; the ledger writes it beside what he does.")],
    role: Annotated[str, typer.Option(help="What he may do: marketing, compliance, rm, leader, scientist, auditor, "
                                           "service.")],
    book: Annotated[Path | None, typer.Option(help="File of customer ids, one a line; all customers without.")] = None,
    clearance: Annotated[str | None, typer.Option(help="C1 or C2; the role's own without.")] = None,
    is_external: Annotated[bool, typer.Option("--external", help="Used outside the bank's network.")] = False,
    home: Home = HOME,
    as_json: Json = False,
) -> None:  # fmt: skip
    """A key for one person or program, shown once."""
    from serving.key_file import add_key, book_in

    customers = None if book is None else book_in(book)
    token = add_key(home, name, role, book=customers, clearance=clearance, is_external=is_external)
    say(token, {"name": name, "key": token}, as_json=as_json)


@app.command("list", epilog="example: tiercel keys list")
@told
def list_keys(home: Home = HOME, as_json: Json = False) -> None:
    """Every key that stands: whose, for which role, how many customers, cleared for what, from where."""
    from serving.key_file import listed

    rows = listed(home)
    lines = [f"{row['name']:<20} {row['role']:<11} {row['customers']:>9} {row['clearance']} {row['network']}"
             for row in rows]  # fmt: skip
    say("\n".join(lines) or "no keys", rows, as_json=as_json)


@app.command(epilog="example: tiercel keys revoke chen.yu")
@told
def revoke(
    name: Annotated[str, typer.Argument(help="Whose key it is.")], home: Home = HOME, as_json: Json = False
) -> None:
    """Take a key back: running servers notice within seconds, and its sessions end with it."""
    from serving.key_file import revoke_key

    revoke_key(home, name)
    say(f"{name}: revoked", {"revoked": name}, as_json=as_json)
