"""Options that several commands share, and the parsers of their values."""

import functools
import inspect
import re
from collections.abc import Callable
from typing import Annotated, Any, get_args

import typer

from app.contract.actions import Action, Kind
from app.contract.instant import instant


def time_of(text: str) -> int:
    """Parses a time to nanoseconds since 1970."""
    try:
        return instant(text)
    except ValueError as e:
        raise typer.BadParameter(str(e)) from None


def _status(text: str) -> str:
    if not re.fullmatch(r"\d{1,3}|[1-9]xx", text.lower(), re.ASCII):
        raise typer.BadParameter(f"{text!r} is not a status: write 404, or a class such as 4xx")
    return text.lower()


def _server(text: str) -> str:
    from app.settings import SERVER_WANTED, server

    try:
        return server(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not {SERVER_WANTED}") from None


def _within(namespace: str, workload: str | None) -> str:
    if workload and "/" in workload:
        raise typer.BadParameter("--namespace beside --workload NAMESPACE/POD: give one of them")
    return f"{namespace}/{workload or ''}"


Wait = Annotated[
    float,
    typer.Option(
        metavar="SECONDS", min=0, help="How long processes that outlive the command are seen."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Server = Annotated[
    str,
    typer.Option(
        parser=_server,
        metavar="URL|cluster[:CONTEXT]",
        help="Ask this app instead of the one of TELEMOCK_DATA; cluster: the kubeconfig's.",
    ),
]
Since = Annotated[
    int | None,
    typer.Option(parser=time_of, metavar="TIME", help="From then on: 24h, 7d, or an ISO time."),
]
Until = Annotated[int | None, typer.Option(parser=time_of, metavar="TIME", help="Before then.")]
ProfileId = Annotated[str | None, typer.Option(metavar="ID", help="Only this profile.")]

# A command's parameter -> its type; names without _ns are CaptureQuery's.
_FILTERS: dict[str, Any] = {
    "since": Since,
    "until": Until,
    "kind": Annotated[
        Kind | None,
        typer.Option(metavar="KIND", help=f"Only these records: {', '.join(get_args(Kind))}."),
    ],
    "host": Annotated[str | None, typer.Option(help="Only this host.")],
    "profile": ProfileId,
    "action": Annotated[Action | None, typer.Option(help="Only what was done so.")],
    "version": Annotated[str | None, typer.Option(help="Only this version of the product.")],
    "workload": Annotated[
        str | None, typer.Option(metavar="NAMESPACE/POD", help="Or NAMESPACE/, or POD.")
    ],
    "namespace": Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Only pods there; asks the cluster's app if no other is named."
        ),
    ],
    "method": Annotated[str | None, typer.Option(help="Only this HTTP method.")],
    "status": Annotated[
        str | None, typer.Option(parser=_status, metavar="STATUS", help="404, or 4xx.")
    ],
    "filter": Annotated[
        str,
        typer.Option(
            "--filter",
            "-q",
            metavar="FILTER",
            help="As on the page: 'host:*.cribl.io -status:2xx version>=4.16 field:lic'.",
        ),
    ],
    "text": Annotated[
        str | None,
        typer.Option(help="Found in host, path, route, rule, version, namespace, pod or reason."),
    ],
}


def filtered(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the filters to a command as options; the command gets a CaptureQuery as its first
    argument, and has the option `server`."""
    taken = list(inspect.signature(command).parameters.values())[1:]
    keyword = inspect.Parameter.KEYWORD_ONLY
    filters = [
        inspect.Parameter(name, keyword, default=None, annotation=type)
        for name, type in _FILTERS.items()
    ]

    @functools.wraps(command)
    def with_filters(**given: Any) -> None:
        from app.settings import CLUSTER, load
        from app.store import CaptureQuery
        from app.store.filter import read

        asked = {name: given.pop(name) for name in _FILTERS}
        if namespace := asked.pop("namespace"):
            asked["workload"] = _within(namespace, asked["workload"])
            given["server"] = given["server"] or load().server or CLUSTER
        terms = asked.pop("filter") or ""
        query = CaptureQuery(since_ns=asked.pop("since"), until_ns=asked.pop("until"), **asked)
        command(read(terms, query), **given)

    parameters = [*filters, *(p.replace(kind=keyword) for p in taken)]
    with_filters.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    with_filters.__annotations__ = {p.name: p.annotation for p in parameters}
    return with_filters
