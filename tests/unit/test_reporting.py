"""tests/reporting.py: one line for all that was skipped, and reports that can be sent."""

import json

import pytest

from tests.reporting import encodable, told

UNIT, INTEGRATION = "/x/tests/unit/test_a.py", "/x/tests/integration/test_b.py"


@pytest.mark.parametrize(
    ("skipped", "line"),
    [
        ([(UNIT, "Skipped: root writes everywhere")], "1 skipped: root writes everywhere (1)"),
        (
            [(UNIT, "Skipped: needs a cluster: set KUBECONFIG")] * 2,
            "2 skipped: needs a cluster (2); KUBECONFIG=… make test-unit runs them",
        ),
        (
            [
                (INTEGRATION, "Skipped: needs jaeger: put it into /bin or into PATH"),
                (INTEGRATION, "Skipped: needs jaeger: put it into /bin or into PATH"),
                (INTEGRATION, "Skipped: needs a cluster: set KUBECONFIG"),
                (UNIT, "Skipped: no timer"),
            ],
            "4 skipped: needs jaeger (2), needs a cluster (1), no timer (1); "
            "KUBECONFIG=… PATH=…:$PATH make test-integration runs them",
        ),
    ],
    ids=["nothing runs it", "one reason", "several"],
)
def test_one_line_says_what_was_skipped_and_what_runs_it(
    skipped: list[tuple[str, str]], line: str
) -> None:
    assert told(skipped) == line


def test_reports_have_no_lone_surrogates() -> None:
    report = {"sections": [("log", "a\udcffb")], "when": "call", "duration": 0.5, "keywords": {}}
    sent = encodable(report)
    json.dumps(sent, ensure_ascii=False).encode()
    assert sent["sections"] == [("log", r"a\udcffb")]
    assert {**sent, "sections": 0} == {**report, "sections": 0}
