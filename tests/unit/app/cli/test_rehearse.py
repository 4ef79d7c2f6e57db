"""app/cli/rehearse.py: what it refuses. Whole runs are in tests/integration/test_rehearse.py."""

import pytest

from tests.unit.app.cli.conftest import Telemock


def test_an_unknown_fault_is_named_with_those_there_are(telemock: Telemock) -> None:
    done = telemock("rehearse", "--profile", "cribl", "--fault", "418", "--", "true")
    assert done.code == 2
    assert "'418' is none of refused, dropped, tls-error" in " ".join(done.err.split())


def test_an_unknown_profile_is_named(telemock: Telemock) -> None:
    done = telemock("rehearse", "--profile", "no-such", "--", "true")
    assert done.code != 0
    assert "no-such" in done.err
    assert "Traceback" not in done.err


def test_without_a_profile_it_is_wrong_usage(telemock: Telemock) -> None:
    assert telemock("rehearse", "--", "true").code == 2


@pytest.mark.parametrize(
    "given",
    [
        ["--pod", "a/b"],
        ["--usual", "a/b"],
        ["--pod", "a/b", "--usual", "a/c", "--profile", "cribl", "--", "true"],
        ["--profile", "cribl"],
    ],
)
def test_a_command_or_two_pods(telemock: Telemock, given: list[str]) -> None:
    done = telemock("rehearse", *given)
    assert done.code == 2
    assert "or --pod and --usual" in " ".join(done.err.split())
