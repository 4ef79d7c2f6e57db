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
    said = connect([given], trust, HOSTS)
    return {v["name"]: v.get("value") for v in given["env"]}, [r.id for r in said]


def test_the_certificate_is_added_to_node_s_own() -> None:
    given: dict[str, Any] = {"name": "app", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    assert connect([given], (), HOSTS) == []
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
    (said,) = connect(both, (), HOSTS)
    assert said.sentence.startswith("containers a and b use a proxy")
