"""`telemock run`: a command through the sidecar, and as a gate."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.ending import USAGE, Failure
from app.cli.options import Wait
from app.contract.actions import LACKING, Mode


def run(
    command: Annotated[
        list[str], typer.Argument(metavar="COMMAND", help="With its arguments, best behind --.")
    ],
    mode: Annotated[
        Mode | None,
        typer.Option(help=f"In place of mock; {', '.join(LACKING)} is not available yet."),
    ] = None,
    profile: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|FILE", help="Instead of TELEMOCK_PROFILES. Repeatable."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The summary as JSON on stdout, after the command's own.")
    ] = False,
    transparent: Annotated[
        bool | None,
        typer.Option(
            "--transparent/--no-transparent",
            help="Also see programs that ignore proxy variables; by default where the kernel "
            "allows it.",
            show_default=False,
        ),
    ] = None,
    discover: Annotated[
        bool, typer.Option("--discover", help="List the hosts of no profile, too: not opened.")
    ] = False,
    wait: Wait = 10,
    open_: Annotated[
        list[str] | None,
        typer.Option(
            "--open",
            metavar="HOST[,…]",
            help="Also read what goes to this host, which no profile names: for this run alone, "
            "forwarded unless --mode says otherwise. `telemock learn` drafts a profile of it.",
        ),
    ] = None,
    canary: Annotated[
        bool,
        typer.Option(
            "--canary", help="Plant known values (user, host, ids …), and tell which were sent."
        ),
    ] = False,
    own_home: Annotated[
        bool, typer.Option("--own-home", help="With --canary: not an empty home, but the real one.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Captures on stderr as they come.")
    ] = False,
    nothing: Annotated[
        bool, typer.Option("--nothing", help="A gate: fail unless nothing was sent to anybody.")
    ] = False,
    contract_file: Annotated[
        Path | None,
        typer.Option("--contract", metavar="FILE", help="A gate: fail unless only that was sent."),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="HOST[:PORT]", help="What a gate allows; also a Unix socket. Repeatable."
        ),
    ] = None,
    statement: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where a gate states what it found."),
    ] = None,
    subject: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|NAME@DIGEST",
            help="What the statement is about; by default the command's program. Repeatable.",
        ),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The private key (PEM) that signs the statement."),
    ] = None,
    sarif: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where a gate writes what failed, for code scanning."),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The same for CI: GitLab, Jenkins.")
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The same for a ticket.")
    ] = None,
) -> None:
    """Run a command, and print what it sent home. The exit code is the command's.

    Example: telemock run --mode observe -- curl -s https://cdn.cribl.io/telemetry/
    """
    from app.report.coverage import listed
    from app.settings import load

    if (subject or key) and statement is None:
        raise Failure("--subject and --key are of a statement\n\nhint: add --statement FILE", USAGE)
    if nothing and contract_file:
        raise Failure("--nothing and --contract are two gates\n\nhint: choose one of them", USAGE)
    if (nothing or contract_file) and (canary or open_):
        raise Failure("--canary and --open are no gate's\n\nhint: run the command twice", USAGE)
    if own_home and not canary:
        raise Failure("--own-home is for planted values\n\nhint: add --canary", USAGE)
    if nothing or contract_file:
        from app.run.allowed import read
        from app.run.gated import Stated, gated
        from app.run.outputs import Outputs

        code = gated(
            command,
            load(),
            allow=read(allow or ()),
            contract=contract_file,
            stated=Stated(statement, subject or (), key) if statement else None,
            told=Outputs(sarif, junit, markdown),
            mode=mode,
            profiles=profile or (),
            as_json=as_json,
            redirect=transparent,
            verbose=verbose,
            wait=wait,
        )
        raise typer.Exit(code)
    of_gates = {
        "--allow": allow, "--statement": statement, "--sarif": sarif, "--junit": junit,
        "--markdown": markdown,
    }  # fmt: skip
    if given := [option for option, value in of_gates.items() if value]:
        raise Failure(
            f"{listed(given)}: a gate's alone\n\nhint: add --nothing or --contract", USAGE
        )
    from app.run.command import run as run_command

    code = run_command(
        command,
        load(),
        mode=mode,
        profiles=profile or (),
        as_json=as_json,
        redirect=transparent,
        verbose=verbose,
        discover=discover,
        wait=wait,
        opens=open_ or (),
        canary=canary,
        own_home=own_home,
    )
    raise typer.Exit(code)
