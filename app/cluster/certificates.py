"""The certificates that the app and the injector serve with, kept in one Secret of the release.

Both processes call `load` at their start and about every 30 s, hand the result to a
`ServerCertificate`, and never restart for a new one. Any number of replicas may do so at once: the
Secret's resourceVersion decides whose certificates are stored, and the others read those.

Our own authority is kept while it is valid. When a new one must replace it, `ca` holds both, so
that clients trust it before any server shows a leaf of the new one.
"""

import asyncio
import base64
import binascii
import logging
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from app.cluster import pki
from app.cluster.kube import KubeApi, KubeError, Object, path
from app.cluster.pki import Unusable
from app.contract import signing
from app.contract.printable import place
from app.contract.signing import Pair

LOOK_S = 30.0  # between looks at the Secret
SOON_S = 2.0  # between looks while no certificate is loaded
LEAF_APP, LEAF_INJECTOR = "app", "injector"
_TRIES = 10  # attempts to update a Secret that others update too
_AUTHORITIES = 3  # certificates in `ca`, newest first
_SECONDS_OF_DAY = 86400
DISTRUSTED_S = 3600.0  # for which a client's distrust is counted
_MOST_DISTRUSTED = 10_000
# OpenSSL's words for a client's alert that it does not know the certificate's authority.
_DISTRUST = frozenset({
    "TLSV1_ALERT_UNKNOWN_CA", "SSLV3_ALERT_CERTIFICATE_UNKNOWN", "SSLV3_ALERT_BAD_CERTIFICATE",
    "TLSV1_ALERT_DECRYPT_ERROR",
})  # fmt: skip

log = logging.getLogger(__name__)

Names = Mapping[str, Sequence[str]]  # leaf's name -> the hosts it is valid for


class TlsError(Exception):
    """No usable certificate to serve with. The text is meant for people, whole."""


@dataclass(frozen=True)
class Material:
    """`ca` is what clients trust, PEM; `leafs` by name, each a certificate (chain) and its key."""

    ca: bytes
    leafs: Mapping[str, Pair]


def host_names(fullname: str, namespace: str) -> Names:
    """The hosts that each leaf names: the release's Services (the injector has two halves), and the
    app by port-forward."""

    def service(name: str) -> list[str]:
        in_namespace = f"{name}.{namespace}"
        svc = in_namespace + ".svc"
        return [svc, in_namespace, name, svc + ".cluster.local"]

    return {
        LEAF_APP: [*service(fullname), "localhost"],
        LEAF_INJECTOR: [*service(f"{fullname}-injector"), *service(f"{fullname}-injector-b")],
    }


def loader(
    api: KubeApi, namespace: str, fullname: str, existing: str = ""
) -> Callable[[], Material]:
    """Returns a function that loads the release's certificates anew at each call: from the Secret
    `existing`, which the operator (or cert-manager) provides and renews, else from our own. That
    function raises KubeError and TlsError."""
    names = host_names(fullname, namespace)
    if existing:
        return lambda: provided(api, namespace, existing, names)
    return lambda: ensure(api, namespace, f"{fullname}-tls", names)


def ensure(api: KubeApi, namespace: str, secret: str, names: Names) -> Material:
    """Returns the certificates of our own Secret, after making or renewing what is due.

    Raises KubeError, and TlsError when the Secret is gone.
    """
    place = path("api", "v1", "namespaces", namespace, "secrets", secret)
    for _ in range(_TRIES):
        found = _get(api, place, namespace, secret)
        held = _data(found)
        wanted = renewed(held, names)
        if wanted == held:
            return _material(held, names)
        # PUT carries the resourceVersion that was read: the slower of two writers gets 409.
        changed = {k: base64.b64encode(v).decode() for k, v in wanted.items()}
        try:
            api.request("PUT", place, {**found, "data": changed})
        except KubeError as e:
            if e.status != 409:
                raise
            continue
        log.info("wrote certificates into the Secret %s/%s", namespace, secret)
        return _material(wanted, names)
    raise TlsError(
        f"the Secret {namespace}/{secret} was changed by others {_TRIES} times in a row\n\n"
        "hint: kubectl get secret --show-managed-fields says by whom"
    )


def provided(api: KubeApi, namespace: str, secret: str, names: Names) -> Material:
    """Returns the certificates of a Secret that someone else renews: ca.crt with app.crt, app.key,
    injector.crt and injector.key, or with tls.crt and tls.key for both, as cert-manager writes
    them. Raises KubeError, and TlsError when they cannot be used."""
    place = path("api", "v1", "namespaces", namespace, "secrets", secret)
    held = _data(_get(api, place, namespace, secret))
    material = Material(
        held.get("ca.crt", b""),
        {leaf: _pair(held, leaf if f"{leaf}.crt" in held else "tls") for leaf in names},
    )
    try:
        for pair in material.leafs.values():
            pki.check_pair(pair)
        if not pki.still_valid(material.ca):
            raise Unusable("of ca.crt is missing or has ended")
    except Unusable as e:
        raise TlsError(
            f"the Secret {namespace}/{secret} cannot be used: its certificate {e}\n\n"
            "hint: it needs ca.crt, tls.crt and tls.key; with cert-manager an issuer that fills "
            "ca.crt (CA, not ACME)"
        ) from None
    return material


def renewed(held: Mapping[str, bytes], names: Names) -> dict[str, bytes]:
    """Returns the Secret's content with what is due renewed; equal to `held` when nothing is."""
    wanted = dict(held)
    authority = _pair(held, "ca")
    try:
        pki.check_authority(authority)
    except Unusable as e:
        log.info("making a new authority: the one in the Secret %s", e)
        authority = pki.make_authority()
        former = pki.still_valid(held.get("ca.crt", b""))
        bundle = b"".join([authority.certificate, *former][:_AUTHORITIES])
        wanted |= {"ca.crt": bundle, "ca.key": authority.key}
    for leaf, hosts in names.items():
        try:
            pki.check_leaf(_pair(held, leaf), authority, hosts)
        except Unusable as e:
            log.info("making a new certificate for %s: the one in the Secret %s", leaf, e)
            made = pki.make_leaf(authority, hosts)
            wanted |= {f"{leaf}.crt": made.certificate, f"{leaf}.key": made.key}
    return wanted


class ServerCertificate:
    """One server's certificate, replaced while it serves: `context` stays the same throughout.

    Until the first `use` it shows a self-signed one, so that health can be asked.
    """

    def __init__(self, leaf: str) -> None:
        self.leaf = leaf
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.set_alpn_protocols(["http/1.1"])
        self.context.sni_callback = self._choose
        self.context.sslobject_class = _telling(lambda: self._distrusted.append(time.monotonic()))
        self._distrusted: deque[float] = deque(maxlen=_MOST_DISTRUSTED)
        self._shown = pki.make_leaf(pki.make_authority(), ["not-ready.invalid"])
        self._current = _context(self._shown)
        self.loaded = False
        self._error = "not loaded yet"

    def use(self, material: Material) -> None:
        """Uses this certificate for new connections from now on. From any thread."""
        pair = material.leafs[self.leaf]
        if pair == self._shown:
            return
        self._current = _context(pair)
        self._shown = pair
        self.loaded = True
        log.info("the certificate ends in %.0f days", self.days_left())

    async def kept(self, look: Callable[[], Awaitable[None]]) -> None:
        """Calls `look` for ever to renew the certificate. The last good one stays in use."""
        while True:
            try:
                await look()
                self._error = ""
            except Exception as e:  # the task must outlive one bad look
                error = str(e) if isinstance(e, KubeError | TlsError) else place(e)
                if error != self._error:
                    log.error("the certificate cannot be kept up to date: %s", error)
                self._error = error
            await asyncio.sleep(LOOK_S if self.loaded else SOON_S)

    def health(self) -> dict[str, object]:
        """Describes the certificate; `error` is the last look's."""
        days = round(self.days_left(), 1)
        ok = self.loaded and days > 0
        said = {"ok": ok, "error": self._error, "distrusted": self.distrusted()}
        return {**said, **({"days_left": days} if self.loaded else {})}

    def distrusted(self) -> int:
        """The number of clients in the last hour that did not trust the certificate."""
        oldest = time.monotonic() - DISTRUSTED_S
        return sum(at > oldest for at in self._distrusted.copy())

    def days_left(self) -> float:
        left = pki.not_after(self._shown.certificate) - signing.now()
        return left.total_seconds() / _SECONDS_OF_DAY

    def _choose(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, context: ssl.SSLContext
    ) -> None:
        # Each certificate gets its own context: to load one into a context in use is not atomic,
        # and leaves the old one beside it when the kind of key changes.
        connection.context = self._current


def _telling(distrusted: Callable[[], None]) -> type[ssl.SSLObject]:
    """A handshake that tells of a client's alert: it knows another authority, as a pod does that
    was injected while the app had that one."""

    class Handshake(ssl.SSLObject):
        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except ssl.SSLError as e:
                if e.reason in _DISTRUST:
                    distrusted()
                raise

    return Handshake


def _context(pair: Pair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["http/1.1"])
    signing.load(context, pair.key.rstrip() + b"\n" + pair.certificate)
    return context


def _get(api: KubeApi, place: str, namespace: str, secret: str) -> Object:
    try:
        return api.get(place)
    except KubeError as e:
        if e.status != 404:
            raise
        raise TlsError(
            f"there is no Secret {namespace}/{secret} for certificates\n\n"
            "hint: the chart renders it; helm upgrade puts it back"
        ) from None


def _data(secret: Object) -> dict[str, bytes]:
    found = {}
    for key, value in (secret.get("data") or {}).items():
        try:
            found[key] = base64.b64decode(value, validate=True)
        except (binascii.Error, TypeError):
            found[key] = b""
    return found


def _pair(held: Mapping[str, bytes], name: str) -> Pair:
    return Pair(held.get(f"{name}.crt", b""), held.get(f"{name}.key", b""))


def _material(held: Mapping[str, bytes], names: Names) -> Material:
    return Material(held["ca.crt"], {leaf: _pair(held, leaf) for leaf in names})
