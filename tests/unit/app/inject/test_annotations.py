"""Annotations are read with care for white space, and refused when they are not understood."""

import pytest

from app.contract import names
from app.inject.annotations import RUNTIMES, Wishes, wishes
from app.trust import ADDED, REPLACED
from tests.unit.app.inject.test_pod import extra, settings


def wished(**short: str) -> Wishes:
    found = wishes({f"telemock.io/{k.replace('_', '-')}": v for k, v in short.items()}, settings())
    assert isinstance(found, Wishes)
    return found


def refused(**short: str) -> list[str]:
    found = wishes({f"telemock.io/{k.replace('_', '-')}": v for k, v in short.items()}, settings())
    assert isinstance(found, list)
    return [r.id for r in found]


def test_without_annotations_the_release_s_choices() -> None:
    chosen = settings(mode="observe", redirect="loopback", trust=("python",))
    found = wishes({"other/annotation": "x"}, chosen)
    assert isinstance(found, Wishes)
    assert [p.id for p in found.profiles] == ["cribl"]
    assert found[1:5] == ("observe", "loopback", ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), "")
    assert (found.resources, found.appends) == (chosen.both, False)
    assert (found.rehearse, found.canary) == ("", False)


def test_the_canary_is_asked_for_by_a_word() -> None:
    assert wished(canary=" True ").canary
    assert not wished(canary="false").canary
    assert refused(canary="pod") == ["canary_value"]


def test_white_space_and_empty_values() -> None:
    assert wished(mode=" block ").mode == "block"
    assert wished(mode="", redirect=" ").redirect == "auto"
    assert wished(trust=" python , ,SSL_CERT_FILE").trust == ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


def test_the_pod_s_profiles_in_its_order() -> None:
    rules = extra("stats.example")
    found = wishes({names.ANNOTATION_PROFILES: "extra, cribl,extra"}, settings(rules=rules))
    assert isinstance(found, Wishes)
    assert [p.id for p in found.profiles] == ["extra", "cribl"]


@pytest.mark.parametrize("value", ["", " , ", "Cribl", "cribl,"])
def test_no_profile_is_a_mistake(value: str) -> None:
    if value == "cribl,":
        assert [p.id for p in wished(profiles=value).profiles] == ["cribl"]
    else:
        assert refused(profiles=value) == ["unknown_profile"]


def test_every_variable_may_be_named_and_node_s_is_set_anyhow() -> None:
    for name in (*ADDED, *REPLACED):
        expected = () if name == "NODE_EXTRA_CA_CERTS" else (name,)
        assert wished(trust=name).trust == expected
    for name, variables in RUNTIMES.items():
        assert wished(trust=name.upper()).trust == tuple(
            v for v in variables if v != "NODE_EXTRA_CA_CERTS"
        )
    assert refused(trust="ssl_cert_file,PATH") == ["trust_value", "trust_value"]


@pytest.mark.parametrize(
    "value", ["2h", "90m", "1s", "7d", "2026-01-31T12:00:00Z", "2026-01-31T12:00:00.5+02:00"]
)
def test_all_until(value: str) -> None:
    assert wished(redirect="all", all_until=value).all_until == value


@pytest.mark.parametrize("value", ["2", "2w", "-2h", "1h30m", "2026-01-31T12:00:00", "tomorrow"])
def test_all_until_is_wrong(value: str) -> None:
    assert refused(all_until=value) == ["all_until_value"]


@pytest.mark.parametrize("value", ["500 until 2h", "hang cribl/telemetry until 2026-01-31T12:00Z"])
def test_rehearse(value: str) -> None:
    assert wished(rehearse=value).rehearse == value
    assert wished(rehearse=value, mode="mock").rehearse == value


@pytest.mark.parametrize(
    "value", ["500", "500 until", "refused a/b until 2h", "on", "500 until soon"]
)
def test_rehearse_is_wrong(value: str) -> None:
    assert refused(rehearse=value) == ["rehearse_value"]


@pytest.mark.parametrize(
    "value",
    ["dropped cribl.io until 2h", "hang cribl/none until 2h", "hang none/telemetry until 2h"],
)
def test_a_rehearsal_of_what_no_profile_has(value: str) -> None:
    assert refused(rehearse=value) == ["rehearse_only"]


@pytest.mark.parametrize("mode", ["observe", "block"])
def test_a_rehearsal_needs_answers_to_put_faults_over(mode: str) -> None:
    assert refused(rehearse="500 until 2h", mode=mode) == ["rehearse_mode"]


@pytest.mark.parametrize("mode", ["", "observe", "block", "mock"])
def test_connections_fail_in_every_mode(mode: str) -> None:
    asked = "dropped cdn.cribl.io until 2h"
    assert wished(rehearse=asked, mode=mode).rehearse == asked
