"""`telemock inject`, as people and Helm call it."""

from pathlib import Path

import pytest
import trustme
import yaml

from tests.unit.app.cli.conftest import Telemock

POD = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: c, image: c}]}\n"
OWN = """
id: own
title: Own
licence: {class: none, note: made up}
evidence: [{claim: c, source: made up, verified: 2026-01-31}]
hosts: [own.example]
rules: [{id: r, action: mock, answer: {status: 204}}]
"""


@pytest.fixture
def authority(place: Path) -> Path:
    """With its key beside it, as someone may have saved it."""
    made = trustme.CA()
    (place / "ca.pem").write_bytes(made.private_key_pem.bytes() + made.cert_pem.bytes())
    return place / "ca.pem"


def sidecar(text: str) -> dict[str, str]:
    """Its variables, in the first document."""
    pod = next(yaml.safe_load_all(text))
    return {v["name"]: v.get("value", "") for v in pod["spec"]["initContainers"][0]["env"]}


def test_manifest_from_stdin(telemock: Telemock, authority: Path) -> None:
    done = telemock("inject", "-f", "-", "--api-ca", str(authority), stdin=POD.encode())
    assert done.code == 0
    assert done.err == "Pod a: injected, redirect hosts, mode as the rules say\n"
    found = sidecar(done.out)
    assert found["TELEMOCK_APP_URL"] == "http://telemock.telemock.svc:8000"
    assert found["TELEMOCK_API_URL"] == "https://telemock.telemock.svc:8443"
    assert found["TELEMOCK_API_CA_PEM"].startswith("-----BEGIN CERTIFICATE-----")
    assert "PRIVATE" not in done.out


def test_options(telemock: Telemock, place: Path, authority: Path) -> None:
    (place / "a.yaml").write_text(POD)
    done = telemock(
        "inject", "-f", "a.yaml", "--mode", "observe", "--redirect", "all", "--image", "own:2",
        "--app-url", "http://t.ns.svc:9000/", "--api-ca", str(authority),
    )  # fmt: skip
    assert done.code == 0
    found = sidecar(done.out)
    assert found["TELEMOCK_MODE"] == "observe"
    assert found["TELEMOCK_APP_URL"] == "http://t.ns.svc:9000"
    assert found["TELEMOCK_API_URL"] == "https://t.ns.svc:8443"
    assert "image: own:2" in done.out and "--mode=all" in done.out


def test_several_files_stay_several_documents(telemock: Telemock, place: Path) -> None:
    (place / "a.yaml").write_text(POD.rstrip())
    (place / "b.yaml").write_text(POD.replace("name: a", "name: b"))
    done = telemock("inject", "-f", "a.yaml", "-f", "b.yaml")
    assert [d["metadata"]["name"] for d in yaml.safe_load_all(done.out)] == ["a", "b"]


def test_a_restricted_namespace_gets_loopback(telemock: Telemock) -> None:
    done = telemock("inject", "-f", "-", "--namespace-security", "restricted", stdin=POD.encode())
    assert "TELEMOCK_LOOPBACK" in sidecar(done.out)


def test_a_pod_that_is_left_alone_is_said_and_no_failure(telemock: Telemock) -> None:
    text = POD.replace("spec: {", "spec: {hostNetwork: true, ")
    done = telemock("inject", "-f", "-", stdin=text.encode())
    assert done.code == 0
    assert "Pod a: not injected\n  the pod has hostNetwork" in done.err


def test_profiles(telemock: Telemock, place: Path) -> None:
    (place / "own.yaml").write_text(OWN)
    done = telemock("inject", "-f", "-", "--profile", "own.yaml", stdin=POD.encode())
    assert sidecar(done.out)["TELEMOCK_HOSTS"].startswith("192.0.2.1=own.example")


def test_ranges_of_somebodys_own_for_pods_and_for_values(
    telemock: Telemock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TELEMOCK_DUMMY_RANGES", "10.9.0.0/24,fd09::/64")
    done = telemock("inject", "-f", "-", stdin=POD.encode())
    assert sidecar(done.out)["TELEMOCK_HOSTS"] == "10.9.0.1=cdn.cribl.io,fd09::1=cdn.cribl.io"
    assert "- 10.9.0.1 cdn.cribl.io\n" in telemock("inject", "--values", "leader").out
    monkeypatch.setenv("TELEMOCK_DUMMY_RANGES", "10.9.0.7/24,fd09::/64")
    done = telemock("inject", "-f", "-", stdin=POD.encode())
    assert done.code and "TELEMOCK_DUMMY_RANGES is '10.9.0.7/24,fd09::/64', expected" in done.err
    assert "'10.9.0.7/24' is no network: that would be 10.9.0.0/24\n\nhint: " in done.err


def test_without_the_authority_a_warning_says_where_it_is(telemock: Telemock) -> None:
    done = telemock("inject", "-f", "-", stdin=POD.encode())
    assert done.code == 0
    assert "TELEMOCK_API_URL" not in sidecar(done.out)
    assert done.err.startswith("warning: without --api-ca")
    assert "jsonpath='{.data.ca\\.crt}'" in done.err


def test_nothing_to_do_is_said(telemock: Telemock) -> None:
    done = telemock("inject", "-f", "-", stdin=b"a: b # stays\n")
    assert (done.code, done.out) == (0, "a: b # stays\n")
    assert done.err.endswith("nothing here makes pods\n")


@pytest.mark.parametrize("chart", ["leader", "workergroup", "edge"])
def test_values(telemock: Telemock, authority: Path, chart: str) -> None:
    done = telemock("inject", "--values", chart, "--api-ca", str(authority))
    assert (done.code, done.err) == (0, "")
    found = yaml.safe_load(done.out)
    assert [c["name"] for c in found["extraInitContainers"]][:2] == [
        "telemock",
        "telemock-redirect",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "give either -f FILE or --values CHART"),
        (["-f", "-", "--values", "leader"], 2, "give either -f FILE or --values CHART"),
        (["-f", "none.yaml"], 2, "none.yaml cannot be read: No such file or directory"),
        (["-f", "-", "--app-url", "https://x"], 2, "--app-url is 'https://x', expected http://"),
        (["-f", "-", "--app-url", "http://x:y"], 2, "expected http://HOST:PORT"),
        (["-f", "-", "--api-ca", "none.pem"], 2, "none.pem cannot be read"),
        (["-f", "-", "--api-ca", "/etc/hosts"], 2, "/etc/hosts holds no certificate in PEM"),
        (["--values", "leader", "--redirect", "loopback"], 2, "cannot set what redirect loopback"),
        (["-f", "-", "--profile", "nope"], 1, "nope"),
    ],
)
def test_wrong_use(telemock: Telemock, arguments: list[str], code: int, words: str) -> None:
    done = telemock("inject", *arguments)
    assert done.code == code
    assert words in " ".join(done.err.replace("│", " ").split())
    assert done.out == ""


@pytest.mark.parametrize(("stdin", "words"), [(b"\xff\xfe", "no UTF-8"), (b"a: [", "no YAML")])
def test_wrong_input(telemock: Telemock, stdin: bytes, words: str) -> None:
    done = telemock("inject", "-f", "-", stdin=stdin)
    assert done.code in (1, 2) and words in done.err and done.out == ""
