"""Commands `telemock changes …`: list, show, accept, watch, object and reopen."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from app.cli.ending import Failure
from app.cli.group import CommandGroup
from app.cli.options import AsJson, ProfileId, Server
from app.contract.reviews import Kind, State

if TYPE_CHECKING:
    from app.store.changes import ChangeQuery

commands = typer.Typer(cls=CommandGroup, no_args_is_help=True, rich_markup_mode=None)

_HEAD = (
    "id", "state", "kind", "what", "where", "profile", "version", "first seen", "again", "by",
    "note",
)  # fmt: skip

_Kind = Annotated[
    Kind | None,
    typer.Option(metavar="KIND", help=f"Only these things: {', '.join(get_args(Kind))}."),
]
_Version = Annotated[str | None, typer.Option(help="Only what this version sent first.")]
_Text = Annotated[str | None, typer.Option(help="Anywhere in the thing's names.")]


@commands.command("list")
def list_(
    state: Annotated[State | None, typer.Option(help="Only items in this state.")] = None,
    kind: _Kind = None,
    profile: ProfileId = None,
    version: _Version = None,
    text: _Text = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many; else all.")] = None,
    as_json: AsJson = False,
    server: Server = "",
) -> None:
    """List what was seen for the first time, and what was decided on it; newest first.

    `again` counts the records since the decision, of what is watched or objected to.

    Example: telemock changes list --state open --version 4.17.0
    """
    from app.client.inbox import inbox, items
    from app.contract.instant import iso
    from app.escape import as_json as json_of
    from app.report.inbox import place, subject
    from app.report.tables import text_table
    from app.settings import load
    from app.store.changes import ChangeQuery

    query = ChangeQuery(state=state, kind=kind, profile=profile, version=version, text=text)
    with inbox(load(), server) as asked:
        found = list(items(asked, query, limit))
    if as_json:
        for item in found:
            typer.echo(json_of(item))
        return
    rows = [
        (item.id, item.state, item.kind, subject(item), place(item), item.profile or "-",
         item.version or "-", iso(item.first_ns) if item.first_ns else "-", item.again, item.who,
         item.note)
        for item in found
    ]  # fmt: skip
    typer.echo(text_table(_HEAD, rows), nl=False)


@commands.command()
def show(
    id: Annotated[int, typer.Argument(help="As `changes list` prints it.", min=1)],
    server: Server = "",
) -> None:
    """Print one item with its history, as JSON.

    Example: telemock changes show 12
    """
    import msgspec

    from app.client.inbox import inbox
    from app.escape import json_text
    from app.settings import load

    with inbox(load(), server) as asked:
        item = asked.item(id)
    if item is None:
        raise _none(id)
    typer.echo(json_text(msgspec.json.format(msgspec.json.encode(item), indent=2)))


def _none(id: int) -> Failure:
    return Failure(f"there is no change {id}\n\nhint: `telemock changes list` prints the ids")


def _decides(state: State, about: str) -> Callable[..., None]:
    def command(
        ids: Annotated[
            list[int] | None,
            typer.Argument(metavar="ID…", help="As `changes list` prints them.", min=1),
        ] = None,
        note: Annotated[str, typer.Option(help="Why, or where more is written.")] = "",
        name: Annotated[
            str, typer.Option(help="Who decides; in a cluster it is the token's user.")
        ] = "",
        every: Annotated[
            bool, typer.Option("--all", help="All open ones that the options below let through.")
        ] = False,
        kind: _Kind = None,
        profile: ProfileId = None,
        version: _Version = None,
        text: _Text = None,
        server: Server = "",
    ) -> None:
        from app.store.changes import ChangeQuery

        query = ChangeQuery(kind=kind, profile=profile, version=version, text=text)
        if every == bool(ids) or (ids and query != ChangeQuery()):
            raise typer.BadParameter("give the ids, or --all and what it is limited to")
        _decide(ids or [], query, state, note, name, server)

    command.__doc__ = about
    return command


def _decide(
    ids: list[int],
    query: "ChangeQuery",
    state: State,
    note: str,
    name: str,
    server: str,
) -> None:
    from msgspec.structs import replace

    from app.client.inbox import GivenReview, inbox
    from app.escape import plain
    from app.report.inbox import place, subject
    from app.settings import load

    given = GivenReview(state, note, name)
    try:
        with inbox(load(), server) as asked:
            for id in ids:
                item = asked.decide(id, given)
                if item is None:
                    raise _none(id)
                what = f"{item.kind} {subject(item)} {place(item)}".rstrip()
                typer.echo(plain(f"{item.state} by {item.who}: {id}, {what}", 1000))
            if not ids:
                newest = asked.page(replace(query, limit=1)).items
                until = newest[0].id if newest else 0
                count = asked.decide_all(replace(query, until=until), given)
                typer.echo(f"{state}: {count} that {'was' if count == 1 else 'were'} open")
    except ValueError as e:
        raise typer.BadParameter(str(e)) from None


commands.command("accept")(
    _decides(
        "accepted",
        """Accept: it is known, and may be sent.

        Example: telemock changes accept --all --version 4.16.1 --note "the first version"
        """,
    )
)
commands.command("watch")(
    _decides(
        "watched",
        """Watch: count how often it is seen from now on.

        Example: telemock changes watch 12
        """,
    )
)
commands.command("object")(
    _decides(
        "objected",
        """Object: it should not be sent. If it is, an alert fires, and report and status say so.

        Example: telemock changes object 12 --note "ask the vendor"
        """,
    )
)
commands.command("reopen")(
    _decides(
        "open",
        """Take the decision back.

        Example: telemock changes reopen 12
        """,
    )
)


@commands.command("class")
def class_(
    id: Annotated[int, typer.Argument(help="Of a field, as `changes list` prints it.", min=1)],
    name_of_class: Annotated[
        str, typer.Argument(metavar="CLASS", help="As the documents list them; none takes it back.")
    ],
    name: Annotated[
        str, typer.Option(help="Who says so; in a cluster it is the token's user.")
    ] = "",
    server: Server = "",
) -> None:
    """Say what a field tells: its class, which beats the profile's and the detectors'.

    Example: telemock changes class 12 identifier.installation
    """
    from app.client.inbox import inbox
    from app.escape import plain
    from app.report.inbox import place, subject
    from app.settings import load

    try:
        with inbox(load(), server) as asked:
            item = asked.item(id)
            said = item and asked.say_class(id, name_of_class, name)
    except ValueError as e:
        raise typer.BadParameter(str(e)) from None
    if item is None or said is None:
        raise _none(id)
    what = f"{subject(item)} {place(item)}".rstrip()
    typer.echo(plain(f"{said.id or 'no class'} by {said.who}: {id}, {what}", 1000))
