"""`telemock profiles …`: the profiles that come with telemock, and what each says."""

import sys
from typing import Annotated

import typer

from app.cli.group import CommandGroup
from app.cli.options import AsJson
from app.escape import as_json as json_of
from app.report.tables import text_table

commands = typer.Typer(cls=CommandGroup, no_args_is_help=True, rich_markup_mode=None)


@commands.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the products whose telemetry is known, with their hosts.

    Example: telemock profiles list
    """
    from app.profiles.compile import load
    from app.profiles.read import built_in
    from app.report.papers import papers_of

    papers = papers_of(load(built_in()).written)
    if as_json:
        typer.echo(json_of(papers))
        return
    rows = [[p.profile, p.title, p.every or "-", ", ".join(p.hosts)] for p in papers]
    sys.stdout.write(text_table(["PROFILE", "PRODUCT", "EVERY", "HOSTS"], rows))


@commands.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `profiles list` has it.")],
) -> None:
    """Print a profile that comes with telemock, to read it or to begin one of your own.

    Example: telemock profiles show grafana > grafana-of-ours.yaml
    """
    from app.profiles.read import BUILT_IN, built_in

    if name not in built_in():
        known = ", ".join(built_in())
        raise typer.BadParameter(f"{name!r} comes not with telemock: {known}")
    typer.echo((BUILT_IN / f"{name}.yaml").read_text(encoding="utf-8"), nl=False)
