"""The page behind a login proxy (a real nginx) that names people in a header; and who may decide on
changes, on the page and by the API."""

import re
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e import pods
from tests.e2e.cluster import Cluster, Forward, until
from tests.e2e.conftest import Cribl
from tests.e2e.release import ADMIN, DECIDES, LOGIN_HEADER, READS, TELEMOCK, VIEWER, Release

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

STRANGER = "stranger@example.com"  # signs in, and may nothing
PASSWORD = "e2e"

CONFIG = """
events {{}}
http {{
  access_log off;
  server {{
    listen 8080;
    auth_basic "telemock";
    auth_basic_user_file /etc/login/people;
    location / {{
      proxy_pass https://{app}.{namespace}.svc:8443;
      proxy_ssl_trusted_certificate /etc/login/ca.crt;
      proxy_ssl_verify on;
      proxy_ssl_name {app}.{namespace}.svc;
      proxy_set_header Host $http_host;
      proxy_set_header Authorization "";
      proxy_set_header {header} $remote_user;
      proxy_set_header telemock-login-secret "{secret}";
      proxy_buffering off;
    }}
  }}
}}
"""


@pytest.fixture(scope="module")
def proxy(cluster: Cluster, release: Release) -> Iterator[str]:
    """Its address, as people reach it."""
    namespace = cluster.make_namespace(f"{release.name}-login")
    authority = release.secret()["ca.crt"].decode()
    people = "".join(f"{name}:{{PLAIN}}{PASSWORD}\n" for name in (READS, DECIDES, STRANGER))
    config = CONFIG.format(
        app=release.app, namespace=release.namespace, header=LOGIN_HEADER,
        secret=release.login_secret,
    )  # fmt: skip
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "login", "namespace": namespace},
            "stringData": {"nginx.conf": config, "people": people, "ca.crt": authority},
        }
    )  # fmt: skip
    probe = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    pod = pods.node(
        "login-proxy", namespace,
        container={
            "command": ["nginx", "-c", "/etc/login/nginx.conf", "-g", "daemon off;"],
            "volumeMounts": [{"name": "login", "mountPath": "/etc/login"}],
            "livenessProbe": probe,
            "readinessProbe": probe,
        },
        spec={"volumes": [{"name": "login", "secret": {"secretName": "login"}}]},
    )  # fmt: skip
    cluster.apply(pod)
    cluster.ready_pods(namespace, "app.kubernetes.io/name=login-proxy")
    with Forward(namespace, "pod/login-proxy", 8080) as port:
        yield f"http://localhost:{port}"


@contextmanager
def as_person(proxy: str, name: str, **headers: str) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=proxy, auth=(name, PASSWORD), headers=headers, trust_env=False, timeout=30
    ) as client:
        yield client


@contextmanager
def past_the_proxy(release: Release, **headers: str) -> Iterator[httpx.Client]:
    """At the Service itself."""
    trust = ssl.create_default_context(cadata=release.secret()["ca.crt"].decode())
    with (
        Forward(release.namespace, f"service/{release.app}", 8443) as port,
        httpx.Client(
            base_url=f"https://localhost:{port}", verify=trust, headers=headers, trust_env=False,
            timeout=30,
        ) as client,
    ):  # fmt: skip
        yield client


@pytest.fixture(scope="module")
def items(release: Release, cribl: Cribl) -> list[dict[str, Any]]:
    """Open fields of the inbox."""
    sender = cribl.start("login-sender")
    answer = cribl.telemetry(sender, "login-proxy")
    assert answer.get("status") == 200, answer
    release.capture("login-proxy")
    listed = release.api("/api/v1/changes", state="open", kind="field").json()["items"]
    found: list[dict[str, Any]] = [i for i in listed if i["name"].startswith("query.")]
    assert len(found) >= 4, listed
    return found


def item_of(release: Release, id: int) -> dict[str, Any]:
    found: dict[str, Any] = release.api(f"/api/v1/changes/{id}").json()
    return found


def form_token(text: str) -> str:
    found = re.search(r'name="form_token" value="([^"]+)"', text)
    assert found, text[:500]
    return found[1]


def test_the_proxy_names_a_person_and_no_token_is_asked_for(
    release: Release, cribl: Cribl, items: list[dict[str, Any]], proxy: str
) -> None:
    assert httpx.get(proxy, trust_env=False).status_code == 401  # the proxy's own
    with as_person(proxy, READS) as client:
        first = client.get("/?since=24h")
        assert first.status_code == 200, first.text
        assert READS in first.text and "Sign out" not in first.text
        assert "set-cookie" not in first.headers
        listed = unescape(client.get(f"/captures?q=namespace:{cribl.namespace}").text)
        assert f"{cribl.namespace}/" in listed
        for view in ("/fields", "/versions", "/changes", "/workloads", "/report", "/status"):
            assert client.get(view).status_code == 200, view


def test_who_may_read_decides_on_nothing(
    release: Release, items: list[dict[str, Any]], proxy: str
) -> None:
    item = items[0]["id"]
    with as_person(proxy, READS) as client:
        listed, one = client.get("/changes"), client.get(f"/changes/{item}")
        for answer in (listed, one):
            assert answer.status_code == 200
            assert 'name="state" value="accepted"' not in answer.text
        with as_person(proxy, DECIDES) as other:
            token = form_token(other.get(f"/changes/{item}").text)
        for sent in (token, "", "wrong"):
            refused = client.post(
                f"/changes/{item}", data={"state": "accepted", "revision": "0", "form_token": sent}
            )
            assert refused.status_code == 403
        assert f"{READS} may not update captures.telemock.io" in unescape(refused.text)
        everything = client.post("/changes", data={"state": "accepted", "until": str(item)})
        assert everything.status_code == 403
    assert item_of(release, item)["state"] == "open"


def test_who_may_update_decides(
    release: Release, cribl: Cribl, items: list[dict[str, Any]], proxy: str
) -> None:
    with as_person(proxy, DECIDES) as client:
        for item, state in zip(items, ("accepted", "watched", "objected"), strict=False):
            shown = client.get(f"/changes/{item['id']}")
            assert shown.status_code == 200
            sent = {"state": state, "revision": "0", "note": f"e2e {state}"}
            foreign = client.post(f"/changes/{item['id']}", data=sent | {"form_token": "wrong"})
            assert foreign.status_code == 403
            sent["form_token"] = form_token(shown.text)
            assert client.post(f"/changes/{item['id']}", data=sent).status_code == 303
            late = client.post(f"/changes/{item['id']}", data=sent | {"state": "open"})
            assert late.status_code == 409 and DECIDES in late.text
            found = item_of(release, item["id"])
            assert (found["state"], found["who"], found["note"]) == (state, DECIDES, f"e2e {state}")
        # What was watched and objected to is counted when it comes again.
        assert cribl.telemetry(cribl.leader, "login-proxy-again")["status"] == 200
        release.capture("login-proxy-again")
        for item in items[1:3]:
            until(lambda i=item: item_of(release, i["id"])["again"] >= 1, "it came again")
        assert "that somebody objected to came again" in client.get("/").text
        objected = items[2]
        shown = client.get(f"/changes/{objected['id']}")
        revision = str(item_of(release, objected["id"])["revision"])
        sent = {"state": "accepted", "revision": revision, "form_token": form_token(shown.text)}
        assert client.post(f"/changes/{objected['id']}", data=sent).status_code == 303


def test_by_the_api_and_the_command_line_as_well(
    release: Release, items: list[dict[str, Any]], tmp_path: Path
) -> None:
    item = items[3]["id"]
    path, decision = f"/api/v1/changes/{item}", {"state": "watched", "note": "api", "revision": 0}
    refused = release.api(path, method="POST", json=decision)
    assert refused.status_code == 403 and "may not update" in refused.text
    assert release.api(path, account="", method="POST", json=decision).status_code == 401
    done = release.api(path, account=ADMIN, method="POST", json=decision)
    assert done.status_code == 200, done.text
    assert done.json()["who"].endswith(f":{ADMIN}")
    for account, code in ((VIEWER, 1), (ADMIN, 0)):
        ran = subprocess.run(
            [TELEMOCK, "changes", "accept", str(item), "--note", "cli",
             "--server", f"cluster:{account}"],
            env=release.environ(account, tmp_path), capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert bool(ran.returncode) == bool(code), ran.stdout + ran.stderr
        assert "Traceback" not in ran.stderr
    assert item_of(release, item)["state"] == "accepted"


def test_nobody_else_is_believed(release: Release, proxy: str) -> None:
    forged = (
        {LOGIN_HEADER: DECIDES},
        {LOGIN_HEADER: DECIDES, "telemock-login-secret": ""},
        {LOGIN_HEADER: DECIDES, "telemock-login-secret": "wrong" * 6},
        {LOGIN_HEADER.lower(): "", "telemock-login-secret": "wrong" * 6},
        {LOGIN_HEADER: DECIDES, "X-Forwarded-For": "10.244.0.1", "X-Forwarded-Proto": "https"},
    )
    for headers in forged:
        with past_the_proxy(release, **headers) as client:
            for view in ("/", "/captures", "/changes/1"):
                answer = client.get(view)
                assert answer.status_code == 403, (headers, view)
                assert "believed of the login proxy only" in answer.text
            assert client.post("/changes/1", data={"state": "accepted"}).status_code == 403
            # The API takes tokens, and heeds no name.
            assert client.get("/api/v1/captures").status_code == 401
    # Over plain HTTP the port has no page, whatever is sent.
    with (
        Forward(release.namespace, f"service/{release.app}", 8000) as port,
        httpx.Client(base_url=f"http://localhost:{port}", trust_env=False) as client,
    ):
        real = {LOGIN_HEADER: DECIDES, "telemock-login-secret": release.login_secret}
        assert client.get("/captures", headers=real).status_code in (403, 404, 421)


def test_what_a_browser_sends_is_replaced(release: Release, proxy: str) -> None:
    forged = {LOGIN_HEADER: DECIDES, "telemock-login-secret": "wrong"}
    with as_person(proxy, READS, **forged) as client:
        first = client.get("/")
        assert first.status_code == 200
        assert READS in first.text and DECIDES not in first.text


def test_a_name_without_rights_and_one_of_kubernetes_own(release: Release, proxy: str) -> None:
    with as_person(proxy, STRANGER) as client:
        answer = client.get("/captures")
        assert answer.status_code == 403
        assert f"{STRANGER} may not list captures.telemock.io" in unescape(answer.text)
    secret = {"telemock-login-secret": release.login_secret}
    for name in (
        "system:admin",
        f"system:serviceaccount:{release.namespace}:{ADMIN}",
        f"{READS},{DECIDES}",
        "a" * 257,
    ):
        with past_the_proxy(release, **secret, **{LOGIN_HEADER: name}) as client:
            assert client.get("/captures").status_code == 403, name
    two = [(LOGIN_HEADER, READS), (LOGIN_HEADER, DECIDES), *secret.items()]
    with past_the_proxy(release) as client:
        assert client.get("/captures", headers=two).status_code == 403
        assert client.get("/captures", headers=[*two[:1], *secret.items()]).status_code == 200
