"""`telemock inject`: adds sidecars to manifests, or prints values for the official charts."""

import sys
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import typer

from app.cli.ending import Failure
from app.contract.actions import ReadyMode
from app.contract.names import PORT_APP
from app.escape import paragraphs
from app.version import VERSION

_NO_CA = (
    "without --api-ca the sidecars send what they record to {app_url} itself; a release in the "
    "cluster takes it over TLS only\n\n"
    "hint: kubectl get secret -n telemock telemock-tls -o jsonpath='{{.data.ca\\.crt}}' | "
    "base64 -d > ca.pem, then --api-ca ca.pem"
)


def inject(
    file: Annotated[
        list[str] | None,
        typer.Option("--file", "-f", metavar="FILE", help="Manifest; - is stdin. Repeatable."),
    ] = None,
    chart: Annotated[
        Literal["leader", "workergroup", "edge"] | None,
        typer.Option("--values", help="Print values for this official Cribl chart instead."),
    ] = None,
    mode: Annotated[
        ReadyMode | None,
        typer.Option(help="In place of mock; by default TELEMOCK_MODE."),
    ] = None,
    profile: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|FILE", help="Instead of TELEMOCK_PROFILES. Repeatable."),
    ] = None,
    redirect: Annotated[
        Literal["auto", "hosts", "loopback", "all"],
        typer.Option(help="How connections reach the sidecar."),
    ] = "auto",
    app_url: Annotated[
        str, typer.Option(metavar="URL", help="Where the app answers, in the cluster.")
    ] = f"http://telemock.telemock.svc:{PORT_APP}",
    api_ca: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Certificate (PEM) of the release's authority, ca.crt of its Secret.",
        ),
    ] = None,
    image: Annotated[
        str, typer.Option(metavar="IMAGE", help="Of the sidecar.")
    ] = f"telemock-sidecar:{VERSION}",
    namespace_security: Annotated[
        Literal["privileged", "baseline", "restricted"],
        typer.Option(help="Pod Security level of the namespace, for --redirect auto."),
    ] = "privileged",
) -> None:
    """Put sidecars into manifests, without a webhook; a report goes to stderr.

    Every Deployment, StatefulSet, DaemonSet, ReplicaSet, Job, CronJob and Pod gets one, unless its
    pods have the label telemock.io/inject=disabled. Other documents stay as they are. It also
    serves as a post-renderer of Helm 3 and 4: docs/operations/install.md says how.

    Example: telemock inject -f app.yaml --api-ca ca.pem | kubectl apply -f -
    """
    from app.inject import InjectSettings, NamespaceFacts
    from app.inject.manifest import ManifestError, injected, joined
    from app.inject.pod import inject as inject_pod
    from app.inject.sidecar import api_url
    from app.inject.snippet import values
    from app.profiles import load_profiles
    from app.settings import load

    if bool(file) == bool(chart):
        raise typer.BadParameter("give either -f FILE or --values CHART")
    chosen = load()
    settings = InjectSettings(
        image=image,
        app_url=_url(app_url),
        api_url=api_url(app_url) if api_ca else "",
        api_ca=_certificates(api_ca) if api_ca else "",
        rules=load_profiles(profile or chosen.profiles),
        mode=mode or chosen.mode or "",
        redirect=redirect,
        dummy_ranges=chosen.dummy_ranges,
    )
    if not api_ca:
        typer.echo(f"warning: {_NO_CA.format(app_url=settings.app_url)}\n", err=True)
    if chart:
        if redirect == "loopback" or (redirect == "auto" and namespace_security != "privileged"):
            raise typer.BadParameter(
                "the official charts cannot set what redirect loopback needs: use "
                "helm template … | telemock inject -f -"
            )
        typer.echo(values(chart, settings, "all" if redirect == "all" else "hosts"), nl=False)
        return
    try:
        text, outcomes = injected(
            joined(map(_read, file or ())),
            lambda pod, namespace: inject_pod(
                pod, settings, NamespaceFacts(namespace, {}, namespace_security)
            ),
        )
    except ManifestError as e:
        raise Failure(str(e)) from None
    typer.echo(text, nl=False)
    for outcome in outcomes:
        typer.echo(paragraphs("\n".join(outcome.lines)), err=True)
    if not outcomes:
        typer.echo("nothing here makes pods", err=True)


def _read(name: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as e:
        raise typer.BadParameter(f"{name} cannot be read: {e.strerror}") from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise typer.BadParameter(f"{name} is no UTF-8 text") from None


def _url(text: str) -> str:
    parts = urlsplit(text)
    try:
        known = parts.scheme == "http" and parts.hostname and parts.port != 0
    except ValueError:
        known = False
    if not known or parts.path.strip("/") or parts.query or parts.username:
        raise typer.BadParameter(f"--app-url is {text!r}, expected http://HOST:PORT")
    return text.rstrip("/")


def _certificates(path: Path) -> str:
    """Returns the file's certificates only: a private key beside them must not reach a manifest."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        found = x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as e:
        raise typer.BadParameter(f"--api-ca: {path} cannot be read: {e.strerror}") from None
    except ValueError:
        raise typer.BadParameter(f"--api-ca: {path} holds no certificate in PEM") from None
    return "".join(c.public_bytes(Encoding.PEM).decode() for c in found)
