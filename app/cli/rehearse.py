"""`telemock rehearse`: what a command does when its vendor's endpoint fails."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.ending import DONE, FAILED, Failure
from app.cli.options import AsJson

if TYPE_CHECKING:
    from app.rehearse.rounds import Rehearsal


def rehearse(
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="COMMAND", help="With its arguments, best behind --."),
    ] = None,
    profile: Annotated[
        str, typer.Option(metavar="NAME|FILE", help="The profile whose endpoints fail.")
    ] = "",
    fault: Annotated[
        list[str] | None, typer.Option(metavar="FAULT", help="Only this one. Repeatable.")
    ] = None,
    endpoint: Annotated[
        list[str] | None, typer.Option(metavar="RULE", help="Only this rule's. Repeatable.")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option("--for", metavar="SECONDS", min=1, help="End it after: it is a service."),
    ] = None,
    limit: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=1, help="How much longer than usual it may take."),
    ] = 120,
    pod: Annotated[
        str,
        typer.Option(
            metavar="NAMESPACE/POD", help="Judge this pod, which has the annotation, instead."
        ),
    ] = "",
    usual: Annotated[
        str, typer.Option(metavar="NAMESPACE/POD", help="With --pod: one like it without.")
    ] = "",
    context: Annotated[str, typer.Option(metavar="NAME", help="Of the kubeconfig.")] = "",
    as_markdown: Annotated[bool, typer.Option("--markdown", help="For a ticket.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a command once for each way its vendor's endpoints can fail.

    Each run is judged by the one without a fault: tolerated, degraded or fatal. Exits with 1 if
    any is fatal. Nothing is sent to the profile's hosts. With --pod it runs nothing, and judges a
    pod under the annotation telemock.io/rehearse by one without.

    Example: telemock rehearse --profile cribl --fault 500 -- ./start.sh
    """
    from app.escape import as_json as json_of
    from app.rehearse import show
    from app.rehearse.faults import IDS
    from app.rehearse.rounds import RehearsalInterrupt
    from app.rehearse.rounds import rehearse as run
    from app.run.stopping import Stopped
    from app.settings import load

    if bool(pod) != bool(usual) or bool(pod) == bool(command and profile):
        raise typer.BadParameter("give --profile and COMMAND, or --pod and --usual")
    for one in fault or ():
        if one not in IDS:
            raise typer.BadParameter(f"{one!r} is none of {', '.join(IDS)}", param_hint="--fault")
    code = DONE
    if pod:
        found = _in_cluster(context, pod, usual)
    else:
        try:
            found = run(
                command or (), profile, load(), faults=fault or (), endpoints=endpoint or (),
                seconds=seconds, limit=limit,
            )  # fmt: skip
        except RehearsalInterrupt as e:
            found, code = e.found, e.code
        except Stopped as e:
            said = f"interrupted by {e} in the run without a fault, so nothing is known"
            raise Failure(said, e.code) from None
    shown = show.markdown(found) if as_markdown else show.text(found)
    sys.stdout.write(json_of(found) + "\n" if as_json else shown)
    if not code and any(row.judgement and row.judgement.outcome == "fatal" for row in found.rows):
        code = FAILED
    raise typer.Exit(code)


def _in_cluster(context: str, pod: str, usual: str) -> "Rehearsal":
    from app.client.source import in_cluster
    from app.cluster.kube import connect
    from app.rehearse.pods import compare
    from app.settings import load

    api = connect(context)
    try:
        with in_cluster(context, load().fullname) as source:
            return compare(api, source, pod, usual)
    finally:
        api.close()
