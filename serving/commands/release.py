"""`tiercel release`: what serving stands on."""

from __future__ import annotations

from typing import Annotated

import typer

from serving.commands.options import HOME, Home, Json, clock
from serving.commands.telling import say, told

app = typer.Typer(no_args_is_help=True, help="What serving stands on: list, cut, roll back.")


@app.command("list", epilog="example: tiercel release list")
@told
def release_list(home: Home = HOME, as_json: Json = False) -> None:
    """Every release, the current one marked."""
    from serving import releases

    found = releases.releases(home)
    now = releases.current(home).id if found else None
    lines = [f"{'→' if r.id == now else ' '} {r.id}  month {r.as_of}  models {r.manifest['champions']}" for r in found]
    say("\n".join(lines) or "nothing has been released", [dict(r.manifest) for r in found], as_json=as_json)


@app.command("cut", epilog="examples: tiercel release cut; tiercel release cut --challenger response --share 0.02")
@told
def release_cut(
    challenger: Annotated[
        list[str] | None,
        typer.Option(help="Model whose challenger to ship; all that are registered unless named, `none` for none."),
    ] = None,
    share: Annotated[
        float | None, typer.Option(help="Customers it decides for, 0 (shadow) to 0.05; as it was unless told.")
    ] = None,
    home: Home = HOME,
    as_json: Json = False,
) -> None:
    """Cut a release of the newest build, the champions, perhaps a challenger, and the policy, and switch to it."""
    from serving import jobs

    release, is_new = jobs.cut_release(home.resolve(), clock(home), challengers=challenger, share=share)
    text = f"{release.id} is current{'' if is_new else ' (unchanged)'}; models {release.manifest['champions']}"
    if release.challengers:
        where = f"for {release.challenger_share:.1%} of customers" if release.challenger_share else "in shadow"
        text += f"; challenger {list(release.challengers)} {where}"
    say(text, dict(release.manifest), as_json=as_json)


@app.command("rollback", epilog="example: tiercel release rollback")
@told
def release_rollback(home: Home = HOME, as_json: Json = False) -> None:
    """Switch back to the release before the current one."""
    from serving import releases

    release = releases.rollback(home)
    say(f"{release.id} is current", dict(release.manifest), as_json=as_json)


@app.command("compare", epilog="example: tiercel release compare")
@told
def release_compare(home: Home = HOME, as_json: Json = False) -> None:
    """Ask the release's challenger of the newest decisions, and set it beside the champions; every row is kept."""
    from serving import jobs
    from serving.models.shadow import compare

    with jobs.desk(home.resolve(), clock(home)) as desk:
        found = compare(desk)
    say(found.sentence(), found.to_json(), as_json=as_json)
