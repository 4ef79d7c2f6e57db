"""`telemock status` and `telemock restart`: a cluster's pods, their problems, and the workloads
whose pods lack a sidecar."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from app.cli.ending import Failure
from app.cli.options import AsJson
from app.escape import as_json as json_of
from app.escape import paragraphs, plain
from app.report.tables import text_table

if TYPE_CHECKING:
    from app.client.source import ApiSource
    from app.cluster.kube import KubeApi
    from app.contract.rules import RuleSet
    from app.inject.gather import OptedIn
    from app.inject.status import AppView, PodStatus

NONE = 1  # exit code: no pod is injected or opted in
WRONG = 1  # exit code of --check: something has a problem
_HEAD = (
    "NAMESPACE", "POD", "PHASE", "INJECTED", "REDIRECT", "CAPTURES", "LAST", "REFUSED", "WAITING",
    "DROPPED", "MISSING", "VERSION",
)  # fmt: skip

Namespace = Annotated[
    str, typer.Option("--namespace", "-n", metavar="NAME", help="Instead of the context's.")
]
Everywhere = Annotated[bool, typer.Option("--all-namespaces", "-A", help="In the whole cluster.")]
Context = Annotated[str, typer.Option(metavar="NAME", help="Of the kubeconfig.")]


class _Cluster(NamedTuple):
    api: "KubeApi"
    space: str  # "": all namespaces
    opted_in: "OptedIn"


def status(
    namespace: Namespace = "",
    everywhere: Everywhere = False,
    context: Context = "",
    check: Annotated[
        bool, typer.Option("--check", help="Exit with 1 if something has a problem.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say which pods of a cluster are injected or why not, and what was seen of them.

    Asks the API server of the kubeconfig, the sidecars, and the app. What cannot be asked stays
    open (-).

    Example: telemock status -A --check
    """
    from app.inject.coverage import verdict, with_verdicts
    from app.inject.gather import gather

    with _cluster(context, namespace, everywhere) as (api, space, opted_in):
        seen, wrong = _seen(context)
        found = with_verdicts(gather(api, space, opted_in, seen), seen)
    for line in wrong:
        typer.echo(paragraphs(f"the app: {line}"), err=True)
    if as_json:
        for row in found:
            typer.echo(json_of(row))
    elif found:
        typer.echo(_table(found), nl=False)
        if seen:
            typer.echo(plain(f"\ncoverage: {verdict(found, seen).verdict}".lstrip("\n"), 2000))
    if not found:
        raise Failure(_none(space, opted_in), NONE)
    if check and (wrong or any(map(_wants_mending, found))):
        raise typer.Exit(WRONG)


def restart(
    namespace: Namespace = "",
    everywhere: Everywhere = False,
    context: Context = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Restart the workloads that opted in and whose pods have no sidecar, or one that is too old.

    As `kubectl rollout restart` does it, one after the other. Pods that were left alone for a
    reason are not restarted: `telemock status` says what has to be changed first.

    Example: telemock restart -n cribl --yes
    """
    from app.inject import restart as restarting

    with _cluster(context, namespace, everywhere) as (api, space, opted_in):
        due = restarting.due(api, space, opted_in)
        for text in due.by_hand:
            typer.echo(f"make it anew by hand: {plain(text, 300)}", err=True)
        if not due.controllers:
            typer.echo("nothing to restart: no workload has a pod that would get another sidecar")
            return
        for controller, why in due.controllers.items():
            typer.echo(plain(f"{controller.namespace} {controller}: {why}", 300))
        if not yes:
            typer.confirm(f"restart these {len(due.controllers)}?", abort=True, err=True)
        for controller in due.controllers:
            restarting.restart(api, controller)
            typer.echo(plain(f"restarted {controller.namespace} {controller}", 300))


@contextmanager
def _cluster(context: str, namespace: str, everywhere: bool) -> Iterator[_Cluster]:
    from app.client.source import ClientError
    from app.cluster import kube
    from app.inject.gather import namespaces

    try:
        api = kube.connect(context)
        try:
            space = "" if everywhere else namespace or api.namespace or "default"
            yield _Cluster(api, space, namespaces(api, space))
        finally:
            api.close()
    except kube.KubeError as e:
        raise ClientError(str(e)) from None


def _wants_mending(row: "PodStatus") -> bool:
    from app.inject.status import TERMINATING

    return bool(row.problems) and row.phase != TERMINATING  # which its controller has replaced


def _none(space: str, opted_in: "OptedIn") -> str:
    """The error when there is no row, with what the labels of the namespaces say."""
    labelled = [name for name, asked in opted_in.namespaces.items() if asked]
    where = f"in the namespace {plain(space)}" if space else "in the cluster"
    if labelled and space:
        return (
            f"the namespace {plain(space)} has opted in, and no pod runs there\n\n"
            "hint: start its workloads; kubectl get events says what keeps pods away"
        )
    if labelled:
        shown = plain(", ".join(labelled), 300)
        return (
            f"namespaces have opted in, and no pod runs there: {shown}\n\n"
            "hint: start their workloads; kubectl get events -A says what keeps pods away"
        )
    if not opted_in.known:
        return (
            f"no pod {where} shows that it opted in, and these credentials may not look at "
            "the labels of namespaces\n\nhint: kubectl auth can-i get namespaces"
        )
    here = "" if not space else "; -A looks everywhere"
    return (
        f"no pod {where} has opted in\n\n"
        f"hint: label a namespace or a pod telemock.io/inject=enabled{here}"
    )


def _seen(context: str) -> "tuple[AppView | None, list[str]]":
    """Asks the app: its view, None when it does not answer, and what is wrong with it."""
    from app.client.source import ClientError, in_cluster
    from app.inject.status import AppView
    from app.settings import load
    from app.store import Scope

    wrong: list[str] = []
    try:
        with in_cluster(context, load().fullname) as source:
            wrong += source.trouble()
            return AppView(source.report(Scope()), _rules(source)), wrong
    except ClientError as e:
        return None, [*wrong, f"what was captured is not known: {e}"]


def _rules(source: "ApiSource") -> "RuleSet":
    """The profiles in use; none for who may read a namespace's captures only."""
    from app.client.source import ClientError
    from app.contract.rules import RuleSet

    try:
        return source.profiles()
    except ClientError:
        return RuleSet()


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
            _open(row.waiting),
            _open(row.dropped),
            _open(row.missing),
            row.version or "-",
        )
        for row in found
    ]
    said = [
        f"{plain(row.namespace)}/{plain(row.pod)}: {word}{plain(text, 900)}\n"
        for row in found
        for word, texts in (("", row.problems), ("note: ", row.notes))
        for text in texts
    ]
    return text_table(_HEAD, rows) + ("\n" + "".join(said) if said else "")


def _redirect(row: "PodStatus") -> str:
    if not row.injected:
        return "-"
    proof = {True: "proven", False: "failed", None: "not proven yet"}[row.redirect_proven]
    return f"{row.redirect} {proof}".strip()


def _open(number: int | None) -> int | str:
    return "-" if number is None else number
