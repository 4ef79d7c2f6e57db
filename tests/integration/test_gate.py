"""`telemock run --nothing`: no way to send passes it, and what sends nothing does."""

import pytest

from tests import gates
from tests.gates import Gate
from tests.ways_out import CLOSED, HARMLESS, WAYS

pytestmark = pytest.mark.root
SENT, NOT_COMPLETE = 121, 122


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Gate]:
    scripts = {name: script for name, (_, script) in WAYS.items()}
    return gates.run(tmp_path_factory.mktemp("ways"), scripts, {})


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Gate]:
    return gates.run(tmp_path_factory.mktemp("harmless"), HARMLESS, {})


def test_there_are_a_hundred_ways_and_twenty_that_are_none() -> None:
    assert len(WAYS) >= 100
    assert len(HARMLESS) >= 20


@pytest.mark.timeout(1600)
@pytest.mark.parametrize("name", WAYS)
def test_no_way_to_send_passes(tried: dict[str, Gate], name: str) -> None:
    if name not in tried:
        pytest.skip("it cannot be made here: it needs a C compiler, for 32 bits too")
    gate, reason = tried[name], WAYS[name][0]
    if reason == CLOSED:
        assert gate.code == 7, gate.said  # the script's own: nothing could be sent
        return
    assert gate.code in (SENT, NOT_COMPLETE), gate.said
    if reason.startswith("to "):
        assert reason in gate.reached, gate.said
        assert gate.code == SENT
    else:
        assert reason in gate.reasons, gate.said


@pytest.mark.timeout(1600)
@pytest.mark.parametrize("name", HARMLESS)
def test_what_sends_nothing_passes(harmless: dict[str, Gate], name: str) -> None:
    gate = harmless[name]
    assert gate.code == 0, gate.said
    assert gate.found["gate"]["verdict"] == "passed"
    assert "Traceback" not in gate.said
