"""Commands `telemock captures …`: list, show, tail and export. `app.cli.lines` does the work."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from app.cli.group import CommandGroup
from app.cli.options import AsJson, Server, filtered

if TYPE_CHECKING:
    from app.store import CaptureQuery

commands = typer.Typer(cls=CommandGroup, no_args_is_help=True, rich_markup_mode=None)


@commands.command("list")
@filtered
def list_(
    query: "CaptureQuery",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many; else all.")] = None,
    order: Annotated[Literal["newest", "oldest", "arrival"], typer.Option()] = "newest",
    as_json: AsJson = False,
    server: Server = "",
) -> None:
    """List captures, one a line.

    Log lines of sidecars are left out, unless --kind log asks for them.

    Example: telemock captures list --host cdn.cribl.io --since 24h --json
    """
    from app.cli import lines

    lines.list_(query, limit, order, as_json=as_json, server=server)


@commands.command()
def show(
    id: Annotated[str, typer.Argument(help="As `captures list` prints it.")], server: Server = ""
) -> None:
    """Print one capture in full, as JSON; under `decoded` what its bodies hold.

    Bodies are decoded as far as they are JSON or forms, also compressed or as base64 in JSON.

    Example: telemock captures show 0f3a52c1d4e5f60718293a4b5c6d7e8f-1
    """
    from app.cli import lines

    lines.show(id, server)


@commands.command()
@filtered
def tail(
    query: "CaptureQuery",
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, max=1000)] = 10,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", "-f/-F", help="Go on with what comes.")
    ] = True,
    as_json: AsJson = False,
    server: Server = "",
) -> None:
    """Print the last captures, and those that come, until Ctrl-C.

    Example: telemock captures tail --namespace logs --action observe
    """
    from app.cli.lines import tail

    tail(query, lines, follow=follow, as_json=as_json, server=server)


@commands.command()
@filtered
def export(
    query: "CaptureQuery",
    format: Annotated[
        Literal["ndjson", "csv", "har", "xlsx", "parquet"], typer.Option("--format", "-f")
    ] = "ndjson",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Instead of stdout.")
    ] = None,
    bom: Annotated[
        bool,
        typer.Option("--bom/--no-bom", help="csv: a byte order mark, which Excel reads UTF-8 by."),
    ] = True,
    server: Server = "",
) -> None:
    """Write captures for another program, oldest first.

    ndjson has every field. csv is for spreadsheets: cells that would be formulas begin with a ',
    and programs that do not expect a byte order mark want --no-bom. xlsx and
    parquet have the same columns, and need the extras of these names. har is for browsers' tools
    and holds what has a request.

    Example: telemock captures export --format csv --since 7d -o captures.csv
    """
    from app.cli import lines

    lines.export(query, format, output, bom=bom, server=server)
