"""`telemock statement …`: what a gate stated, for whoever was given it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli.group import CommandGroup
from app.cli.options import AsJson
from app.escape import as_json as json_of

commands = typer.Typer(cls=CommandGroup, no_args_is_help=True, rich_markup_mode=None)


@commands.command()
def verify(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="As `telemock run --statement` wrote it.")
    ],
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The public key (PEM) of who signed.")
    ] = None,
    subject: Annotated[
        str, typer.Option(metavar="FILE|NAME@DIGEST", help="What it has to be about.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Check who signed a statement, what it is about, and that its gate passed.

    Without --key it says what is stated, which anybody can have written.

    Example: telemock statement verify gate.json --key gate.pub --subject dist/app
    """
    from app.cli.ending import FAILED, Failure
    from app.gate import statement
    from app.report.tables import text_table

    found = statement.read(file, key)
    stated = found.statement
    if subject:
        wanted = statement.subject(subject).digest
        if not any(one.digest == wanted for one in stated.subject):
            raise Failure(
                f"{file}: it is not about {subject}, whose digest is another\n\n"
                "hint: --subject takes what was given to `telemock run`"
            )
    says = stated.predicate
    if as_json:
        typer.echo(json_of({"signed_by": found.key, "statement": stated}))
    else:
        signed = f"yes, by {found.key}" if found.key else "not checked: --key FILE checks it"
        about = [f"{one.name} sha256:{one.digest.get('sha256', '')}" for one in stated.subject]
        rows = [["signed", signed], *(["about", one] for one in about)]
        rows += [[name, str(says.get(name, ""))] for name in ("says", "command", "finishedOn")]
        sys.stdout.write(text_table(["", ""], rows))
    if not statement.passed(says):
        raise typer.Exit(FAILED)
