"""`telemock optout`: whether the switches that a vendor documents keep a command silent."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli.ending import DONE, FAILED
from app.cli.options import AsJson, Wait


def optout(
    product: Annotated[
        str, typer.Argument(metavar="PRODUCT", help="A profile that comes with it, or a file.")
    ],
    command: Annotated[
        list[str],
        typer.Argument(
            metavar="COMMAND",
            help="Best behind --. A switch's arguments take the place of {args}, or follow.",
        ),
    ],
    also: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Try this variable as a switch too. Repeatable."),
    ] = None,
    repeat: Annotated[
        int, typer.Option(metavar="N", min=1, max=100, help="Runs with each switch, in one home.")
    ] = 1,
    home: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            exists=True,
            file_okay=False,
            help="Each new home is a copy of it, not empty.",
        ),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh/--no-fresh", help="A new home for each switch; else your own for all."
        ),
    ] = True,
    wait: Wait = 10,
    transparent: Annotated[
        bool | None,
        typer.Option(
            "--transparent/--no-transparent", help="As of `telemock run`.", show_default=False
        ),
    ] = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="For a ticket.")] = False,
    as_json: AsJson = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="The command's output on stderr.")
    ] = False,
) -> None:
    """Run a command with each documented switch, and say whether it is silent.

    It runs without a switch first and last. All that it sends to hosts of profiles is answered
    here. Exit code 0: it sent without a switch, and with each that was tried it was silent, with
    complete coverage.

    Example: telemock optout dbt --also DO_NOT_TRACK=1 -- dbt {args} parse
    """
    from app.escape import as_json as json_of
    from app.run.optout import AuditInterrupt, AuditOptions, audit
    from app.run.optout_show import markdown, text
    from app.settings import load

    if home and not fresh:
        raise typer.BadParameter("--home beside --no-fresh: give one of them")

    def progress(line: str) -> None:
        if sys.stderr.isatty():
            typer.echo(f"telemock: {line}", err=True)

    try:
        found = audit(
            product,
            command,
            load(),
            AuditOptions(fresh, home, repeat, wait, transparent, verbose),
            also=[_switch(one) for one in also or ()],
            progress=progress,
        )
        code = DONE if found.holds else FAILED
    except AuditInterrupt as e:
        found, code = e.found, e.code
    if as_json:
        typer.echo(json_of(found))
    else:
        typer.echo(markdown(found) if as_markdown else text(found), nl=False)
    raise typer.Exit(code)


def _switch(text: str):  # type: ignore[no-untyped-def]
    from pydantic import ValidationError

    from app.profiles.about import Switch

    name, is_given, value = text.partition("=")
    try:
        if not is_given:
            raise ValueError
        return Switch(env={name: value})
    except (ValidationError, ValueError):
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE of a variable") from None
