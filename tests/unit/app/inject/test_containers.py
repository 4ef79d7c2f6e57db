"""What the other containers get, and what of theirs stays."""

from typing import Any

from app.contract import names
from app.inject.containers import connect

HOSTS = ("cdn.cribl.io", "stats.example")


def env(*variables: str, **values: str) -> list[dict[str, Any]]:
    """`variables` come from elsewhere."""
    return [
        *({"name": n, "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}} for n in variables),
        *({"name": n, "value": v} for n, v in values.items()),
    ]


def connected(*trust: str, **container: Any) -> tuple[dict[str, Any], list[str]]:
    """The variables afterwards, and the reasons."""
    given = {"name": "app", **container}
    said, _ = connect([given], trust, HOSTS)
    return {v["name"]: v.get("value") for v in given["env"]}, [r.id for r in said]


def test_the_certificate_is_added_to_node_s_own() -> None:
    given: dict[str, Any] = {"name": "app", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    assert connect([given], (), HOSTS) == ([], [])
    assert given["env"] == [{"name": "NODE_EXTRA_CA_CERTS", "value": "/etc/telemock/trust/ca.pem"}]
    assert given["volumeMounts"] == [
        {"name": "v", "mountPath": "/v"},
        {"name": names.VOLUME_TRUST, "mountPath": names.MOUNT_TRUST, "readOnly": True},
    ]


def test_a_variable_that_replaces_a_list_gets_the_whole_one() -> None:
    found, said = connected("SSL_CERT_FILE", "DENO_CERT")
    assert found["SSL_CERT_FILE"] == "/etc/telemock/trust/bundle.pem"
    assert found["DENO_CERT"] == "/etc/telemock/trust/ca.pem"
    assert said == ["trust_replaced"]


def test_what_the_container_sets_stays_also_when_it_comes_from_elsewhere() -> None:
    own = env("NODE_EXTRA_CA_CERTS", SSL_CERT_FILE="/own.pem")
    found, said = connected("SSL_CERT_FILE", env=own)
    assert found == {"NODE_EXTRA_CA_CERTS": None, "SSL_CERT_FILE": "/own.pem"}
    assert said == ["own_ca", "own_ca", "trust_replaced"]


def test_hosts_are_added_to_no_proxy_once() -> None:
    found, said = connected(env=env(https_proxy="http://p", NO_PROXY="x, CDN.cribl.io"))
    assert found["NO_PROXY"] == "x, CDN.cribl.io,stats.example"
    assert "no_proxy" not in found  # it would hide the other one
    assert said == ["proxied"]


def test_no_proxy_is_made_in_both_spellings() -> None:
    found, said = connected(env=env(ALL_PROXY="socks5://p"))
    assert found["NO_PROXY"] == found["no_proxy"] == "cdn.cribl.io,stats.example"
    assert said == ["proxied"]


def test_a_star_covers_all() -> None:
    assert connected(env=env(HTTPS_PROXY="http://p", no_proxy="*"))[0]["no_proxy"] == "*"


def test_a_proxy_from_elsewhere_with_a_list_of_its_own() -> None:
    found, said = connected(env=env("HTTPS_PROXY", NO_PROXY="x"))
    assert found["NO_PROXY"] == "x,cdn.cribl.io,stats.example"
    assert said == ["proxied"]


def test_a_list_that_cannot_be_read_is_not_replaced() -> None:
    for given in (
        {"env": env("HTTPS_PROXY")},
        {"env": env("NO_PROXY", HTTPS_PROXY="http://p")},
        {"env": env(HTTPS_PROXY="http://p"), "envFrom": [{"configMapRef": {"name": "m"}}]},
    ):
        found, said = connected(**given)
        assert found.get("NO_PROXY") is None and "no_proxy" not in found
        assert said[-1] == "proxy_unreadable"


def test_no_proxy_without_a_proxy_is_left_alone() -> None:
    found, said = connected(env=env(NO_PROXY="x", HTTPS_PROXY=""))
    assert found["NO_PROXY"] == "x" and said == []


def test_containers_with_the_same_to_say_share_a_sentence() -> None:
    both = [{"name": n, "env": env(HTTP_PROXY="http://p")} for n in ("a", "b")]
    (said,), _ = connect(both, (), HOSTS)
    assert said.sentence.startswith("containers a and b use a proxy")


COMPANY = {"name": "company", "mountPath": "/etc/company/", "readOnly": True}
VOLUMES = [
    {"name": "company", "configMap": {"name": "ca"}},
    {"name": "scratch", "emptyDir": {}},
]


def test_files_of_its_own_in_a_volume_are_copied_where_asked_for() -> None:
    mounts = [COMPANY, {**COMPANY, "mountPath": "/one.pem", "subPath": "ca.pem"}]
    given: dict[str, Any] = {
        "name": "app", "volumeMounts": mounts,
        "env": env(NODE_EXTRA_CA_CERTS="/etc/company/a/ca.pem", SSL_CERT_FILE="/one.pem", X="/y"),
    }  # fmt: skip
    said, copies = connect([given], ["SSL_CERT_FILE"], HOSTS, VOLUMES, appends=True)
    assert [r.id for r in said] == ["own_ca_appended", "own_ca_appended", "trust_replaced"]
    assert {v["name"]: v["value"] for v in given["env"]} == {
        "NODE_EXTRA_CA_CERTS": "/etc/telemock/trust/own/0.pem",
        "SSL_CERT_FILE": "/etc/telemock/trust/own/1.pem", "X": "/y",
    }  # fmt: skip
    assert [(c.original, c.source) for c in copies] == [
        ("/etc/company/a/ca.pem", "/own/0/a/ca.pem"), ("/one.pem", "/own/1"),
    ]  # fmt: skip
    assert [c.own_mount() for c in copies] == [
        {"name": "company", "mountPath": "/own/0", "readOnly": True},
        {"name": "company", "subPath": "ca.pem", "mountPath": "/own/1", "readOnly": True},
    ]


def test_what_cannot_be_copied_stays_and_says_what_helps() -> None:
    for file, mount, remedy in (
        ("/image.pem", COMPANY, "is the image's, so mount"),
        ("/s/ca.pem", {"name": "scratch", "mountPath": "/s"}, "let it begin with `cat"),
        ("/e/ca.pem", {**COMPANY, "mountPath": "/e", "subPathExpr": "$(X)"}, "read-only volume"),
        ("/n/ca.pem", {"name": "none", "mountPath": "/n"}, "read-only volume none"),
    ):
        given: dict[str, Any] = {
            "name": "app", "volumeMounts": [mount], "env": env(NODE_EXTRA_CA_CERTS=file),
        }  # fmt: skip
        (said,), copies = connect([given], (), HOSTS, VOLUMES, appends=True)
        assert (said.id, copies) == ("own_ca", [])
        assert remedy in said.sentence
        assert given["env"][0]["value"] == file


def test_without_the_annotation_the_reason_names_it() -> None:
    given: dict[str, Any] = {
        "name": "app", "volumeMounts": [COMPANY],
        "env": env(NODE_EXTRA_CA_CERTS="/etc/company/ca.pem"),
    }  # fmt: skip
    (said,), copies = connect([given], (), HOSTS, VOLUMES)
    assert (said.id, copies) == ("own_ca", [])
    assert "the annotation telemock.io/own-ca: append adds it to a copy of" in said.sentence
