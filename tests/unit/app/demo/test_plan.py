"""app/demo/plan.py: the documented request, and problems that are seen."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from app.demo import host, plan


def test_the_telemetry_request_has_the_documented_47_parameters():
    older, newer = (plan.parameters(version, 0) for version in plan.VERSIONS)
    assert len(older) == 47
    assert newer.keys() - older.keys() == plan.ADDED.keys()
    assert {"v", "lic", "guid", "fc.giv", "lk.max", "pp.ob", "fs.r", "et", "lt"} <= older.keys()


def test_the_counts_are_those_of_the_calls():
    calls = [call for version in plan.VERSIONS for call in plan.calls(version)]
    assert len(calls) == plan.CAPTURES == plan.MOCKED + plan.PASSED
    first = calls[0]
    assert urlsplit(first.url).netloc == host.CDN
    assert dict(parse_qsl(urlsplit(first.url).query))["lic"] == plan.LICENCE


CALL = plan.Call("GET", "https://a.test/x?lic=1", {"status": 200})


@pytest.mark.parametrize(
    ("got", "problem"),
    [
        ({"status": 200, "issuer": "telemock"}, ""),
        ({"status": 503, "issuer": "telemock"}, "got status 503, expected 200"),
        ({"status": 200, "issuer": host.CA_NAME}, "was shown a certificate"),
        ({"error": "refused"}, "failed: refused"),
    ],
)
def test_a_problem_is_a_sentence_without_the_query(got, problem):
    found = CALL.problem(got)
    assert problem in found
    assert bool(found) == bool(problem)
    assert "lic" not in found


def test_a_spliced_host_must_show_its_own_certificate():
    call = plan.Call("GET", "https://a.test/", {}, ours=False)
    assert call.problem({"issuer": "telemock"})
    assert not call.problem({"issuer": host.CA_NAME})
