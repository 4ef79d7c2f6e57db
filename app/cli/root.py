"""The commands of `telemock`.

Commands import what they need when they run, so that `telemock --help` is quick.
"""

import os
import sys
from functools import cache
from typing import Annotated, Any

import typer
from typer.main import get_command

from app.cli import captures, changes, contract, profiles, rules
from app.cli import statement as statements
from app.cli.ca import ca
from app.cli.ending import EXIT_CODES, RUN_CODES
from app.cli.group import CommandGroup
from app.cli.inject import inject
from app.cli.learn import learn
from app.cli.open import open_page
from app.cli.options import AsJson, ProfileId, Server, Since, Until
from app.cli.optout import optout
from app.cli.rehearse import rehearse
from app.cli.run import run
from app.cli.status import restart, status

_CODES = "; ".join(f"{code} {what}" for code, what in EXIT_CODES)
_RUNS_CODES = ", ".join(f"{code} ({what})" for code, what in RUN_CODES)

cli = typer.Typer(
    cls=CommandGroup,
    epilog=f"Exit codes: {_CODES}. `run` exits as its command does, or with {_RUNS_CODES}.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
cli.add_typer(captures.commands, name="captures", help="What was recorded.")
cli.add_typer(
    profiles.commands, name="profiles", help="The profiles that come with telemock, and your own."
)
cli.add_typer(changes.commands, name="changes", help="What is new, and what was decided on it.")
cli.add_typer(contract.commands, name="contract", help="What a version may send, as a file.")
cli.add_typer(rules.commands, name="rules", help="The profiles' rules.")
cli.add_typer(statements.commands, name="statement", help="What a gate stated.")
cli.command()(learn)
cli.command()(inject)
cli.command()(ca)
cli.command()(status)
cli.command()(optout)
cli.command("open")(open_page)
cli.command(context_settings={"allow_interspersed_args": False})(run)
cli.command(context_settings={"allow_interspersed_args": False})(rehearse)
cli.command()(restart)


def _version(asked: bool) -> None:
    if asked:
        version()
        raise typer.Exit


@cli.callback()
def telemock(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Know, prove and answer what a vendor's pods send home."""


@cli.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave it running at the end.")] = False,
    as_json: AsJson = False,
    otel: Annotated[
        bool, typer.Option("--otel", help="With Jaeger and Prometheus, which stay up.")
    ] = False,
) -> None:
    """One whole round on this machine: client, proxy, mock, report.

    With --otel its traces and metrics go to the collector of OTEL_EXPORTER_OTLP_ENDPOINT, else to
    jaeger and prometheus in PATH, else to those of docker compose.

    Example: telemock demo --otel
    """
    from app.demo.round import demo as run_demo
    from app.settings import load

    raise typer.Exit(run_demo(load(), keep=keep, as_json=as_json, otel=otel))


@cli.command()
def serve() -> None:
    """Run the app: mock, API and store, on HOST and PORT.

    Example: PORT=8001 telemock serve
    """
    from app import environment
    from app.cli.serve import serve as run_server
    from app.settings import load

    raise typer.Exit(run_server(load(environment.server())))


@cli.command()
def injector() -> None:
    """Run the injector in a cluster: the webhook that puts the sidecar into pods, over TLS.

    Its settings come from the environment, where the chart puts them.

    Example: telemock injector
    """
    from app.cli.injector import serve as run_injector
    from app.inject.process_settings import load as load_injector

    raise typer.Exit(run_injector(load_injector()))


@cli.command()
def proxy() -> None:
    """Run the sidecar as an explicit proxy on MITM_HOST and MITM_PORT.

    It asks the app that runs on TELEMOCK_DATA, unless TELEMOCK_APP_URL names another.
    `python -m addon --help` prints its settings.

    Example: telemock proxy
    """
    from app import environment
    from app.client.running import running_app
    from app.run.processes import PYTHON
    from app.settings import load

    environ = environment.server()
    settings = load(environ)
    environ["TELEMOCK_DATA"] = str(settings.data)
    if not environ.get("TELEMOCK_APP_URL") and (url := running_app(settings.data)):
        environ["TELEMOCK_APP_URL"] = url
    sys.stdout.flush()
    os.execve(PYTHON[0], [*PYTHON, "addon"], environ)  # noqa: S606


@cli.command()
def report(
    since: Since = None,
    until: Until = None,
    profile: ProfileId = None,
    as_json: AsJson = False,
    server: Server = "",
) -> None:
    """What was sent, by whom, since when; what a newer version added.

    Times count by the hour.

    Example: telemock report --since 7d
    """
    from app.cli.progress import waiting
    from app.client.source import connect
    from app.escape import as_json as json_of
    from app.report.show import text
    from app.settings import load
    from app.store import Scope

    with connect(load(), server) as source, waiting("reading what was recorded"):
        found = source.report(Scope(since_ns=since, until_ns=until, profile=profile))
    typer.echo(json_of(found) if as_json else text(found), nl=as_json)


@cli.command()
def fields(
    since: Since = None,
    until: Until = None,
    profile: ProfileId = None,
    as_json: AsJson = False,
    server: Server = "",
) -> None:
    """Every field that was ever sent, by endpoint and version.

    Those over the inventory's limit are one line, (other). Counts are of all time; --since and
    --until leave out what was not seen then.

    Example: telemock fields --profile cribl --json
    """
    from app.cli.progress import waiting
    from app.client.source import connect
    from app.escape import as_json as json_of
    from app.report.classes import said_by
    from app.report.tables import text_table
    from app.settings import load
    from app.store import OTHER, Scope

    with connect(load(), server) as source, waiting("reading the fields"):
        rows = source.fields(Scope(since_ns=since, until_ns=until, profile=profile))
    if as_json:
        for row in rows:
            typer.echo(json_of(row))
        return
    head = ("host", "endpoint", "version", "field", "type", "shape", "class", "by", "in")
    table = [
        (
            row.host,
            f"{row.method} {row.route}",
            row.version or "-",
            row.path,
            row.type,
            row.shape,
            row.class_ or "-",
            said_by(row),
            f"{row.count}/{row.requests}" if row.path != OTHER else f"{row.count} times",
        )
        for row in rows
    ]
    typer.echo(text_table(head, table), nl=False)


@cli.command()
def diff(
    one: Annotated[
        str,
        typer.Argument(
            help="A version, image:IMAGE, or time:SINCE..UNTIL; by default the one before the last."
        ),
    ] = "",
    other: Annotated[str, typer.Argument(help="By default the last version.")] = "",
    profile: ProfileId = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="For a ticket.")] = False,
    as_json: AsJson = False,
    server: Server = "",
) -> None:
    """What a version, image or time sends that another did not.

    Hosts, endpoints and fields: added, gone, changed in type, shape or presence; volume and pace.

    Example: telemock diff 4.16.1 4.17.0 --profile cribl --markdown
    """
    from app.cli.progress import waiting
    from app.client.source import connect
    from app.escape import as_json as json_of
    from app.report.compare import markdown, text
    from app.settings import load

    with connect(load(), server) as source, waiting("comparing"):
        found = source.diff(profile, one, other)
    shown = markdown(found) if as_markdown else text(found)
    typer.echo(json_of(found) if as_json else shown, nl=as_json)


@cli.command()
def version() -> None:
    """Print the version.

    Example: telemock version
    """
    from app.version import VERSION

    typer.echo(f"telemock {VERSION}")


@cache
def command() -> Any:
    """All of it, as Typer's own object."""
    return get_command(cli)
