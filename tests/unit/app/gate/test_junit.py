"""app/gate/junit.py: XML of the shape that GitLab and Jenkins read, whatever the names."""

from xml.etree import ElementTree as etree

import pytest

from app.gate.junit import junit
from app.gate.result import Checked
from tests.unit.app.gate.violating import HOST, checked, evil, violation

# Elements and attributes of Jenkins' and GitLab's reading.
ATTRIBUTES = {
    "testsuites": {"tests", "failures", "errors", "skipped", "time"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time"},
    "testcase": {"name", "classname", "file", "time"},
    "failure": {"message", "type"},
    "skipped": {"message"},
    "system-out": set(),
}
INSIDE = {
    "testsuites": {"testsuite"}, "testsuite": {"testcase", "system-out"},
    "testcase": {"failure", "skipped"},
}  # fmt: skip


@pytest.mark.parametrize("found", [checked(), checked(violation()), evil()])
def test_the_shape(found: Checked) -> None:
    root = etree.fromstring(junit(found))  # noqa: S314 - ours
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.attrib) == ATTRIBUTES[element.tag]
        assert {child.tag for child in element} <= INSIDE.get(element.tag, set())
        assert all(element.attrib.values())
    for suite in (root, root[0]):
        for name, tag in (("tests", "testcase"), ("failures", "failure"), ("skipped", "skipped")):
            assert suite.get(name) == str(len(list(root.iter(tag))))
    assert root.get("failures") == str(len(found.violations))


def test_cases_are_endpoints_and_violations() -> None:
    root = etree.fromstring(junit(checked(violation(), complete=False)))  # noqa: S314 - ours
    names = [case.get("name") for case in root.iter("testcase")]
    assert names == [
        "cdn.cribl.io GET /b", "unplanned_field: cdn.cribl.io GET /a query.x",
        "coverage: not complete: x",
    ]  # fmt: skip
    (failure,) = root.iter("failure")
    assert failure.text and "telemock captures show abababab-1" in failure.text


def test_a_planned_endpoint_that_was_not_called_did_not_pass() -> None:
    root = etree.fromstring(junit(checked(kept=[(HOST, "GET", "/b")])))  # noqa: S314 - ours
    assert next(case.get("name") for case in root.iter("testcase")) == "cdn.cribl.io GET /b"
    assert "cdn.cribl.io GET /a" not in junit(checked(kept=[(HOST, "GET", "/b")]))
