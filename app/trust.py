"""Variables that make a command use the sidecar and trust it, and keep the user's own values.
Called by `app.run.perform`.
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from app.contract import names
from app.contract.files import write_whole


class Variable(NamedTuple):
    """`adds`: its certificates are taken besides the runtime's own list, not in their place."""

    name: str
    adds: bool
    taken_by: str


VARIABLES = (
    Variable("NODE_EXTRA_CA_CERTS", True, "Node.js, npm, Electron"),
    Variable("DENO_CERT", True, "Deno"),
    Variable("SSL_CERT_FILE", False, "OpenSSL's default: Python's ssl, Ruby, PHP's streams, Perl; "
             "Go; Rust (rustls-native-certs, native-tls)"),
    Variable("REQUESTS_CA_BUNDLE", False, "Python's requests"),
    Variable("CURL_CA_BUNDLE", False, "curl; Python's requests"),
    Variable("GIT_SSL_CAINFO", False, "git"),
    Variable("AWS_CA_BUNDLE", False, "AWS's command line and SDKs"),
    Variable("PIP_CERT", False, "pip"),
    Variable("CARGO_HTTP_CAINFO", False, "cargo"),
    Variable("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", False, "gRPC for C++, Python, Ruby, PHP"),
    Variable("PERL_LWP_SSL_CA_FILE", False, "Perl's LWP"),
    Variable("CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", False, "gcloud"),
)  # fmt: skip
ADDED = tuple(row.name for row in VARIABLES if row.adds)
REPLACED = tuple(row.name for row in VARIABLES if not row.adds)
JAVA = "JAVA_TOOL_OPTIONS"
# Lists of this machine that a run's command sees with our certificate in them, where it has an
# /etc/hosts of its own: for those who ask no variable.
SYSTEM_LISTS = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Arch
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",  # Fedora, Red Hat
    "/etc/ssl/ca-bundle.pem",  # SUSE
    "/etc/ssl/cert.pem",  # Alpine
)
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")
ALL_PROXIES = (*PROXIES, "ALL_PROXY", "all_proxy")
NO_PROXY = "localhost,127.0.0.1,::1"


def trusting(environ: Mapping[str, str], ca: Path) -> tuple[dict[str, str], list[str]]:
    """Makes variables that add the CA in the directory `ca` to a command's trust, and messages on
    variables that the user had set: their certificates are kept, in one file with ours.

    Raises OSError when such a file cannot be written.
    """
    found, told = {}, []
    kept: dict[str, list[str]] = {}
    for name in (*ADDED, *REPLACED):
        ours = (ca / (names.FILE_CA_CERT if name in ADDED else names.FILE_BUNDLE)).absolute()
        found[name] = str(ours)
        theirs = environ.get(name, "")
        if not theirs or Path(theirs).absolute() == ours:
            continue
        try:
            pem = Path(theirs).read_bytes()
        except OSError as e:
            told.append(f"{name} names {theirs}, which cannot be read ({e.strerror}): now {ours}")
            continue
        merged = ca / f"merged-{hashlib.sha256(theirs.encode()).hexdigest()[:12]}.pem"
        ours_too = (ca / names.FILE_CA_CERT).read_bytes()
        write_whole(merged, [pem.rstrip(), b"\n", ours_too])
        found[name] = str(merged.absolute())
        kept.setdefault(theirs, []).append(name)
    for theirs, variables in kept.items():
        told.append(
            f"{', '.join(variables)} named {theirs}: this command gets a copy with ours added"
        )
    return found, told


def _host(url: str) -> str:
    with suppress(ValueError):  # the user's own value, which may be anything
        return urlsplit(url).hostname or ""
    return ""


def proxied(
    environ: Mapping[str, str], proxy: str, *, redirected: bool = False
) -> tuple[dict[str, str], list[str]]:
    """Makes variables that send a command's HTTP through `proxy`, and messages on those that the
    user had set. They leave out the values: a proxy's URL may hold a password. `redirected`: what
    does not come by the proxy comes all the same."""
    found = dict.fromkeys(PROXIES, proxy) | {"NODE_USE_ENV_PROXY": "1"}
    told = []
    replaced = [name for name in ALL_PROXIES if environ.get(name)]
    if replaced:
        host = _host(environ[replaced[0]]) or "another proxy"
        told.append(
            f"{', '.join(replaced)} pointed to {host}: replaced for this command, and the sidecar "
            "connects directly, not through it"
        )
        found |= {name: proxy for name in replaced}
    given = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if given and not redirected:
        told.append(f"NO_PROXY stays as you set it, so what it names is not seen: {given}")
    elif not given:
        found |= {"NO_PROXY": NO_PROXY, "no_proxy": NO_PROXY}
    return found, told


def table() -> list[tuple[str, str, str]]:
    """The runtimes' ways to take the certificate: variable, file that it names, reader."""
    rows = [
        (row.name, names.FILE_CA_CERT if row.adds else names.FILE_BUNDLE, row.taken_by)
        for row in VARIABLES
    ]
    rows.append((JAVA, names.FILE_JAVA, "Java, as -Djavax.net.ssl.trustStore"))
    return rows


def markdown() -> str:
    """The table for the documentation."""
    lines = ["| Variable | File | Read by |", "|---|---|---|"]
    lines += [f"| `{name}` | `{file}` | {who} |" for name, file, who in table()]
    return "\n".join(lines) + "\n"
