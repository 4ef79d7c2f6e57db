"""`telemock status`: prints a cluster's pods, one a line, and their problems."""

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.ending import Failure
from app.cli.options import AsJson
from app.escape import as_json as json_of
from app.escape import plain
from app.report.tables import text_table

if TYPE_CHECKING:
    from app.inject.status import AppView, PodStatus

NONE = 1  # exit code: no pod is injected or opted in
_HEAD = (
    "NAMESPACE", "POD", "PHASE", "INJECTED", "REDIRECT", "CAPTURES", "LAST", "REFUSED", "DROPPED",
    "MISSING", "VERSION",
)  # fmt: skip


def status(
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", metavar="NAME", help="Instead of the context's.")
    ] = "",
    everywhere: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="In the whole cluster.")
    ] = False,
    context: Annotated[str, typer.Option(metavar="NAME", help="Of the kubeconfig.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say which pods of a cluster are injected or why not, and what was seen of them.

    Asks the API server of the kubeconfig, the sidecars, and the app. What cannot be asked stays
    open (-).

    Example: telemock status -A
    """
    from app.client.source import ClientError
    from app.cluster import kube
    from app.inject.status import gather

    try:
        api = kube.connect(context)
        try:
            space = "" if everywhere else namespace or api.namespace or "default"
            found = gather(api, space, _seen(context))
        finally:
            api.close()
    except kube.KubeError as e:
        raise ClientError(str(e)) from None
    if as_json:
        for row in found:
            typer.echo(json_of(row))
    elif found:
        typer.echo(_table(found), nl=False)
    if not found:
        where = f"in the namespace {plain(space)}" if space else "in the cluster"
        raise Failure(
            f"no pod {where} has opted in\n\n"
            "hint: label a namespace or a pod telemock.io/inject=enabled; -A looks everywhere",
            NONE,
        )


def _seen(context: str) -> "AppView | None":
    """Asks the app; None, and a line on stderr, when it does not answer."""
    from app.client.source import ClientError, in_cluster
    from app.inject.status import AppView
    from app.settings import load
    from app.store import Scope

    try:
        with in_cluster(context, load().fullname) as source:
            return AppView(source.report(Scope()), source.profiles())
    except ClientError as e:
        for line in f"warning: what was captured is not known: {e}".splitlines():
            typer.echo(plain(line, 600), err=True)
        return None


def _table(found: "list[PodStatus]") -> str:
    rows = [
        (
            row.namespace,
            row.pod,
            row.phase,
            "yes" if row.injected else "no",
            _redirect(row),
            _open(row.captures),
            row.last_seen or "-",
            _open(row.refused),
            _open(row.dropped),
            _open(row.missing),
            row.version or "-",
        )
        for row in found
    ]
    said = [
        f"{plain(row.namespace)}/{plain(row.pod)}: {plain(problem, 600)}\n"
        for row in found
        for problem in row.problems
    ]
    return text_table(_HEAD, rows) + ("\n" + "".join(said) if said else "")


def _redirect(row: "PodStatus") -> str:
    if not row.injected:
        return "-"
    proof = {True: "proven", False: "failed", None: "not proven yet"}[row.redirect_proven]
    return f"{row.redirect} {proof}".strip()


def _open(number: int | None) -> int | str:
    return "-" if number is None else number
