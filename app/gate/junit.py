"""Writes a check, or a gate, as JUnit XML, as GitLab and Jenkins read it: a test case for each
planned endpoint that was called and each violation; what a check could not tell is skipped, never
passed."""

from xml.etree import ElementTree as etree

from app.escape import plain
from app.gate.result import Checked, Violation
from app.gate.show import summary

# What a gate that passed has shown.
_HELD = {
    "sent": "nothing was seen to be sent but what is allowed",
    "not_complete": "coverage is complete",
}
_LONGEST = 1_000  # characters of a message


def junit(found: Checked) -> str:
    """Ends with a newline. Text that XML cannot hold is escaped as on a terminal."""
    broken = {(one.host, one.method, one.endpoint) for one in found.violations}
    suites = etree.Element("testsuites")
    suite = etree.SubElement(suites, "testsuite", name=_suite(found))
    for key in found.planned if found.kept is None else found.kept:
        if key not in broken:
            _case(suite, " ".join(key), "kept", found)
    kinds = {one.kind for one in found.violations}
    for kind, says in _HELD.items() if found.gate else ():
        if kind not in kinds:
            _case(suite, says, kind, found)
    for one in found.violations:
        _violation(suite, one, found)
    unsure = [*found.unchecked, *found.doubts]
    if found.coverage and not found.coverage.complete:
        unsure.append(f"coverage: {found.coverage.verdict}")
    for note in unsure:
        case = _case(suite, note, "not known", found)
        etree.SubElement(case, "skipped", message=plain(note, _LONGEST))
    etree.SubElement(suite, "system-out").text = plain(summary(found), _LONGEST)
    given = {"tests": str(len(suite.findall("testcase"))), "errors": "0", "time": "0",
             "failures": str(len(found.violations)), "skipped": str(len(unsure))}  # fmt: skip
    for element in (suites, suite):
        element.attrib.update(given)
    etree.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{etree.tostring(suites, encoding="unicode")}\n'


def _violation(suite: etree.Element, one: Violation, found: Checked) -> None:
    case = _case(suite, f"{one.kind}: {one.where}", one.kind, found)
    failure = etree.SubElement(case, "failure", type=one.kind, message=plain(one.says, _LONGEST))
    lines = (
        one.where, one.says, f"{one.times}, {one.first_seen} to {one.last_seen}",
        f"telemock captures show {one.example}" if one.example else "",
    )  # fmt: skip
    failure.text = "\n".join(plain(line, _LONGEST) for line in lines if line)


def _case(suite: etree.Element, name: str, kind: str, found: Checked) -> etree.Element:
    return etree.SubElement(
        suite, "testcase", name=plain(name, _LONGEST), file=plain(found.file), time="0",
        classname=".".join((*_suite(found).split(" "), kind)),
    )  # fmt: skip


def _suite(found: Checked) -> str:
    return "telemock gate" if found.gate else f"telemock contract {plain(found.profile)}"
