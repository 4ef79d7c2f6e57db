import asyncio
import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from app.cluster import certificates, pki
from app.cluster.certificates import Material, ServerCertificate, TlsError
from app.cluster.kube import KubeApi, path
from app.contract.signing import Pair, now
from tests.cluster import cluster, namespace, needs_cluster
from tests.unit.app.cluster.test_pki import DAY
from tests.waiting import wait_for

NAMES = {"app": ["a.svc"], "injector": ["i.svc"]}
KEYS = {"ca.crt", "ca.key", "app.crt", "app.key", "injector.crt", "injector.key"}


@pytest.fixture(scope="module")
def made() -> dict[str, bytes]:
    return certificates.renewed({}, NAMES)


def pair(held: dict[str, bytes], name: str) -> Pair:
    return Pair(held[f"{name}.crt"], held[f"{name}.key"])


def test_host_names_of_a_release() -> None:
    names = certificates.host_names("tm", "ns")
    assert set(names["app"]) >= {"tm.ns.svc", "tm", "localhost"}
    assert names["injector"][0] == "tm-injector.ns.svc"


def test_everything_is_made_once(made: dict[str, bytes]) -> None:
    assert set(made) == KEYS
    pki.check_leaf(pair(made, "app"), pair(made, "ca"), NAMES["app"])
    assert certificates.renewed(made, NAMES) == made


def test_only_what_is_due_is_renewed(made: dict[str, bytes]) -> None:
    old = pki.make_leaf(pair(made, "ca"), ["a.svc"], now() - 61 * DAY)
    held = {**made, "app.crt": old.certificate, "app.key": old.key, "mine": b"kept"}
    wanted = certificates.renewed(held, NAMES)
    assert {k for k in wanted if wanted[k] != held[k]} == {"app.crt", "app.key"}
    pki.check_leaf(pair(wanted, "app"), pair(made, "ca"), ["a.svc"])


def test_other_names_ask_for_another_leaf(made: dict[str, bytes]) -> None:
    wanted = certificates.renewed(made, {**NAMES, "app": ["renamed.svc"]})
    assert {k for k in wanted if wanted[k] != made[k]} == {"app.crt", "app.key"}


@pytest.mark.parametrize("key", sorted(KEYS))
def test_damage_is_repaired(made: dict[str, bytes], key: str) -> None:
    wanted = certificates.renewed({**made, key: b"\xff"}, NAMES)
    pki.check_authority(pair(wanted, "ca"))
    for leaf, hosts in NAMES.items():
        pki.check_leaf(pair(wanted, leaf), pair(wanted, "ca"), hosts)


def test_new_authority_keeps_the_former_in_what_clients_trust(made: dict[str, bytes]) -> None:
    wanted = certificates.renewed({**made, "ca.key": b""}, NAMES)
    assert pki.still_valid(wanted["ca.crt"])[1:] == [made["ca.crt"]]
    assert certificates.renewed(wanted, NAMES) == wanted
    for _ in range(4):
        wanted = certificates.renewed({**wanted, "ca.key": b""}, NAMES)
    assert len(pki.still_valid(wanted["ca.crt"])) == 3


@contextmanager
def listening(certificate: ServerCertificate) -> Iterator[tuple[str, int]]:
    """Accepts TLS connections and closes them."""
    listener = socket.create_server(("127.0.0.1", 0))

    def run() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                with certificate.context.wrap_socket(connection, server_side=True) as tls_socket:
                    tls_socket.recv(1)
            except OSError:
                connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield listener.getsockname()
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def shown(address: tuple[str, int], ca: bytes = b"", name: str = "") -> bytes:
    """The server's certificate, DER, as a client sees it."""
    if ca:
        context = ssl.create_default_context(cadata=ca.decode())
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(address, timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=name or None) as connection,
    ):
        found = connection.getpeercert(binary_form=True)
        assert found
        return found


def test_certificate_changes_while_it_serves(made: dict[str, bytes]) -> None:
    certificate = ServerCertificate("app")
    assert not certificate.loaded
    with listening(certificate) as address:
        first = shown(address)  # health can be asked from the start
        material = Material(made["ca.crt"], {"app": pair(made, "app")})
        certificate.use(material)
        assert certificate.loaded
        second = shown(address, made["ca.crt"], "a.svc")
        certificate.use(material)
        assert shown(address, made["ca.crt"], "a.svc") == second
        other = certificates.renewed({}, NAMES)
        with pytest.raises(ssl.SSLCertVerificationError):
            shown(address, other["ca.crt"], "a.svc")
        certificate.use(Material(other["ca.crt"], {"app": pair(other, "app")}))
        third = shown(address, other["ca.crt"], "a.svc")
        assert shown(address) == third  # without SNI too
    assert len({first, second, third}) == 3
    assert 89 < certificate.days_left() < 91


async def test_clients_that_know_another_authority_are_counted(
    made: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = ServerCertificate("app")
    certificate.use(Material(made["ca.crt"], {"app": pair(made, "app")}))
    other = certificates.renewed({}, NAMES)["ca.crt"]
    server = await asyncio.start_server(
        lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=certificate.context
    )
    address = server.sockets[0].getsockname()
    async with server:
        await asyncio.to_thread(shown, address, made["ca.crt"], "a.svc")
        assert certificate.health()["distrusted"] == 0
        for _ in range(2):  # as the sidecar's client: asyncio's sends no alert
            with pytest.raises(ssl.SSLCertVerificationError):
                await asyncio.to_thread(shown, address, other, "a.svc")
        await asyncio.to_thread(wait_for, lambda: certificate.distrusted() == 2)
        assert certificate.health()["distrusted"] == 2
    monkeypatch.setattr(certificates, "DISTRUSTED_S", 0.0)
    assert certificate.distrusted() == 0


def write(api: KubeApi, ns: str, name: str, data: dict[str, bytes]) -> None:
    encoded = {k: base64.b64encode(v).decode() for k, v in data.items()}
    api.request(
        "POST",
        path("api", "v1", "namespaces", ns, "secrets"),
        {"metadata": {"name": name, "labels": {"kept": "yes"}}, "data": encoded},
    )


def read(api: KubeApi, ns: str, name: str) -> dict[str, Any]:
    return api.get(path("api", "v1", "namespaces", ns, "secrets", name))


@needs_cluster
def test_secret_is_filled_once_by_any_number_of_replicas() -> None:
    with cluster() as api, namespace(api, "i2-tls") as ns:
        write(api, ns, "tm-tls", {})
        start = threading.Barrier(8)

        def replica(_: int) -> Material:
            start.wait()
            return certificates.loader(api, ns, "tm")()

        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(replica, range(8)))
        assert all(f == found[0] for f in found)
        secret = read(api, ns, "tm-tls")
        assert set(secret["data"]) == KEYS
        assert secret["metadata"]["labels"] == {"kept": "yes"}
        assert certificates.loader(api, ns, "tm")() == found[0]
        assert (
            read(api, ns, "tm-tls")["metadata"]["resourceVersion"]
            == (secret["metadata"]["resourceVersion"])
        )


@needs_cluster
def test_leaf_that_has_ended_is_renewed_and_the_authority_kept() -> None:
    with cluster() as api, namespace(api, "i2-tls") as ns:
        names = certificates.host_names("tm", ns)
        held = certificates.renewed({}, names)
        old = pki.make_leaf(pair(held, "ca"), names["injector"], now() - 91 * DAY)
        held |= {"injector.crt": old.certificate, "injector.key": old.key}
        write(api, ns, "tm-tls", held)
        found = certificates.loader(api, ns, "tm")()
        assert found.ca == held["ca.crt"]
        assert found.leafs["app"] == pair(held, "app")
        pki.check_leaf(found.leafs["injector"], pair(held, "ca"), names["injector"])


@needs_cluster
def test_secret_that_is_is_gone() -> None:
    with cluster() as api, namespace(api, "i2-tls") as ns:
        for load in (
            certificates.loader(api, ns, "tm"),
            certificates.loader(api, ns, "tm", "tm-tls"),
        ):
            with pytest.raises(TlsError, match=rf"no Secret {ns}/tm-tls(.|\n)*hint: .*upgrade"):
                load()


@needs_cluster
def test_secret_of_the_operator_is_read_and_never_written(made: dict[str, bytes]) -> None:
    leaf = pki.make_leaf(pair(made, "ca"), ["x"])
    as_cert_manager = {"ca.crt": made["ca.crt"], "tls.crt": leaf.certificate, "tls.key": leaf.key}
    with cluster() as api, namespace(api, "i2-tls") as ns:
        write(api, ns, "both", as_cert_manager)
        write(api, ns, "each", made)
        write(api, ns, "no-ca", {**as_cert_manager, "ca.crt": b""})
        write(api, ns, "mixed", {**as_cert_manager, "tls.key": made["ca.key"]})
        before = read(api, ns, "both")["metadata"]["resourceVersion"]
        found = certificates.loader(api, ns, "tm", "both")()
        assert found == Material(made["ca.crt"], {"app": leaf, "injector": leaf})
        assert read(api, ns, "both")["metadata"]["resourceVersion"] == before
        assert certificates.loader(api, ns, "tm", "each")().leafs["app"] == pair(made, "app")
        with pytest.raises(TlsError, match=rf"(?s){ns}/no-ca cannot be used: .*ca.crt.*hint: "):
            certificates.loader(api, ns, "tm", "no-ca")()
        with pytest.raises(TlsError, match="the key of another certificate"):
            certificates.loader(api, ns, "tm", "mixed")()


async def test_a_look_that_fails_keeps_the_last_good_one(
    made: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(certificates, "LOOK_S", 0.0)
    monkeypatch.setattr(certificates, "SOON_S", 0.0)
    certificate = ServerCertificate("app")
    looks = iter([TlsError("no Secret"), ValueError("quotes a client"), ValueError("x"), None])

    async def look() -> None:
        if certificate.loaded:
            again.set()
            await asyncio.Event().wait()
        seen.append(certificate.health())
        if error := next(looks):
            raise error
        certificate.use(Material(made["ca.crt"], {"app": pair(made, "app")}))

    seen: list[dict[str, object]] = []
    again = asyncio.Event()
    task = asyncio.create_task(certificate.kept(look))
    await again.wait()
    assert [(one["ok"], str(one["error"]).partition(" at ")[0]) for one in seen] == [
        (False, error) for error in ("not loaded yet", "no Secret", "ValueError", "ValueError")
    ]
    assert caplog.text.count("cannot be kept up to date") == 2
    assert certificate.health() == {
        "ok": True,
        "error": "",
        "days_left": 90.0,
        "distrusted": 0,
    }
    assert "quotes a client" not in caplog.text
    task.cancel()
