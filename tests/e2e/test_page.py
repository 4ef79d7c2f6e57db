"""The page of a cluster's app, as people open it: through the tunnel, and by the Service with a
token; and what it shows to whom."""

import re
import signal
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.e2e import pods
from tests.e2e.cluster import Cluster, Forward, until
from tests.e2e.conftest import Cribl
from tests.e2e.release import LOCAL, NOBODY, TELEMOCK, VIEWER, Release

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


@contextmanager
def opened(release: Release, account: str, folder: Path) -> Iterator[httpx.Client]:
    """A browser behind the link of `telemock open --server cluster`."""
    process = subprocess.Popen(
        [TELEMOCK, "open", "--no-browser", "--server", f"cluster:{account}"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=release.environ(account, folder) | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        assert process.stdout
        first, link = process.stdout.readline(), process.stdout.readline().strip()
        assert "through a tunnel, until Ctrl-C" in first, first + link + process.stdout.read()
        parts = urlsplit(link)
        assert (parts.scheme, parts.hostname) == ("http", "127.0.0.1")
        origin = f"{parts.scheme}://{parts.netloc}"
        with httpx.Client(base_url=origin, trust_env=False, timeout=30) as client:
            # To follow the link changes nothing: its page sends the code.
            assert "Open telemock" in client.get(link).text
            assert client.get("/").headers["location"].startswith("/login")
            (code,) = parse_qs(parts.query)["code"]
            came = client.post("/login", data={"code": code}, headers={"origin": origin})
            assert (came.status_code, came.headers["location"]) == (303, "/")
            yield client
            again = httpx.post(f"{origin}/login", data={"code": code}, trust_env=False, timeout=30)
            assert again.status_code == 401  # once
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)


@contextmanager
def signed_in(release: Release, account: str) -> Iterator[tuple[httpx.Client, httpx.Response]]:
    """A browser at the Service, that typed the account's token; and the answer to it."""
    trust = ssl.create_default_context(cadata=release.secret()["ca.crt"].decode())
    token = release.cluster.token(account, release.namespace)
    with (
        Forward(release.namespace, f"service/{release.app}", 8443) as port,
        httpx.Client(
            base_url=f"https://localhost:{port}", verify=trust, trust_env=False, timeout=30
        ) as client,
    ):
        assert "kubectl create token" in client.get("/login").text
        yield client, client.post("/login", data={"token": token})


@pytest.fixture(scope="module")
def two(cluster: Cluster, release: Release, cribl: Cribl) -> str:
    """A capture of the product's namespace, and one of another; returns that one's name."""
    other = cluster.make_namespace(f"{release.name}-page", inject="enabled")
    cluster.apply(pods.node("page-other", other))
    (second,) = cluster.ready_pods(other, "app.kubernetes.io/name=page-other")
    for pod, tag in ((cribl.leader, "page-mine"), (second, "page-not-mine")):
        assert cribl.telemetry(pod, tag)["status"] == 200
        release.capture(tag)
    return other


def read(client: httpx.Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    return unescape(answer.text)


def sees_all(client: httpx.Client, release: Release, cribl: Cribl, other: str) -> None:
    listed = read(client, f"/captures?q=namespace:{cribl.namespace},{other}")
    leader = cribl.leader["metadata"]["name"]
    assert f"{cribl.namespace}/{leader}"[:40] in listed and f"{other}/page-other" in listed
    mine = release.capture("page-mine")["id"]
    assert "page-mine" in read(client, f"/captures/{mine}")
    first = read(client, "/?since=24h")
    assert re.search(r"\d+ products?</a> sent", first)
    coverage = release.api("/api/v1/coverage", since="24h").json()["coverage"]
    assert ("Coverage is complete" in first) == coverage["complete"]
    for view in ("/fields", "/versions", "/workloads", "/profiles", "/report", "/status"):
        read(client, view)


def test_through_the_tunnel_with_the_kubeconfig_s_rights(
    release: Release, cribl: Cribl, two: str, tmp_path: Path
) -> None:
    with opened(release, VIEWER, tmp_path) as client:
        sees_all(client, release, cribl, two)


def test_by_the_service_with_a_token(release: Release, cribl: Cribl, two: str) -> None:
    with signed_in(release, VIEWER) as (client, answer):
        assert answer.status_code == 303
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower()
        sees_all(client, release, cribl, two)
        token = re.search(r'name="form_token" value="([^"]+)"', read(client, "/"))
        assert token
        client.post("/logout", data={"form_token": token[1]})
        assert client.get("/captures").headers["location"].startswith("/login")


def test_a_namespace_s_viewer_sees_that_namespace(
    release: Release, cribl: Cribl, two: str, tmp_path: Path
) -> None:
    release.let_read(cribl.namespace)
    until(
        lambda: release.api("/api/v1/captures", account=LOCAL).status_code == 200,
        "the role is known",
    )
    foreign, own = (release.capture(tag)["id"] for tag in ("page-not-mine", "page-mine"))
    with opened(release, LOCAL, tmp_path) as client:
        for address in ("/?since=24h", "/captures", "/workloads", "/report", "/fields"):
            seen = read(client, address)
            assert two not in seen, address
            assert "page-other" not in seen, address
        assert cribl.namespace in read(client, "/captures")
        assert read(client, f"/captures?q=namespace:{two}").count("<tr data-id=") == 0
        assert "page-mine" in read(client, f"/captures/{own}")
        assert client.get(f"/captures/{foreign}").status_code == 404


def test_without_rights_there_is_a_sentence_and_no_page(release: Release, tmp_path: Path) -> None:
    done = subprocess.run(
        [TELEMOCK, "open", "--no-browser", "--server", f"cluster:{NOBODY}"],
        env=release.environ(NOBODY, tmp_path), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0 and "http://" not in done.stdout
    assert NOBODY in done.stderr and "hint: " in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    with signed_in(release, NOBODY) as (client, answer):
        assert answer.status_code == 403
        assert f"{NOBODY} may not list captures.telemock.io" in unescape(answer.text)
        assert "set-cookie" not in answer.headers
        assert client.get("/captures").status_code == 303
