"""`rules check` finds what is wrong, `rules explain` says what happens."""

import json
from pathlib import Path

import pytest

from tests.unit.app.cli.conftest import Telemock

URL = "https://cdn.cribl.io/telemetry/index.html?v=4.16.1"


def test_check_says_right(telemock: Telemock) -> None:
    done = telemock("rules", "check", "cribl")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("cribl.yaml: cribl: ")
    assert json.loads(telemock("rules", "check", "cribl", "--json").out) == {
        "ok": True, "problems": [],
        "notes": [],
    }  # fmt: skip


def test_check_says_what_is_wrong_and_where(telemock: Telemock, place: Path) -> None:
    (place / "bad.yaml").write_text("id: acme\nrules: [{id: a, action: mok}]\n")
    done = telemock("rules", "check", "bad.yaml")
    assert (done.code, done.out) == (1, "")
    assert "bad.yaml: rules[0].action: 'mok' is not an action, expected mock, " in done.err
    assert done.err.endswith("problems\n")
    found = json.loads(telemock("rules", "check", "bad.yaml", "--json").out)
    assert found["ok"] is False
    problem = next(p for p in found["problems"] if p["where"] == "rules[0].action")
    assert (problem["file"], problem["value"]) == ("bad.yaml", "'mok'")


def test_file_cannot_act_on_the_terminal(telemock: Telemock, place: Path) -> None:
    (place / "bad.yaml").write_text('id: acme\n"\\e[31mred": 1\nrules: [{"\\e]0;": 1}]\n')
    done = telemock("rules", "check", "bad.yaml")
    assert done.code == 1
    assert "\x1b" not in done.err
    assert "\\x1b[31mred" in done.err


@pytest.mark.parametrize("name", ["gone.yaml", "."])
def test_check_of_nothing(telemock: Telemock, name: str) -> None:
    done = telemock("rules", "check", name)
    assert done.code == 1
    assert "hint: " in done.err


def test_explain(telemock: Telemock) -> None:
    done = telemock("rules", "explain", URL)
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "mock: rule telemetry matches first"
    assert any("events" in line and "no: method is GET, wanted POST" in line for line in lines)
    found = json.loads(telemock("rules", "explain", URL, "--mode", "observe", "--json").out)
    assert (found["action"], found["rule"]) == ("observe", "telemetry")


def test_explain_exits_1_when_no_rule_matches(telemock: Telemock) -> None:
    done = telemock("rules", "explain", "https://cdn.cribl.io/dl/cribl.tgz")
    assert done.code == 1
    assert done.out.startswith("pass: no rule matches, so the request is forwarded untouched")
    other = telemock("rules", "explain", "https://example.com/")
    assert (other.code, other.out.startswith("pass: no profile names the host")) == (1, True)


def test_explain_takes_method_headers_body_and_profile(telemock: Telemock, place: Path) -> None:
    (place / "acme.yaml").write_text("""\
id: acme
title: Acme
licence: {class: none, note: Nothing is known.}
evidence: [{claim: It sends., source: its documentation, verified: 2026-01}]
hosts: [t.acme.example]
rules:
  - id: a
    match: {methods: [POST], headers: {x-kind: usage}, body: {n: "1"}}
    action: mock
""")
    asked = [
        "rules", "explain", "t.acme.example", "--profile", "acme.yaml", "-X", "post",
        "-H", "X-Kind: usage",
    ]  # fmt: skip
    assert telemock(*asked, "-d", '{"n": 1}').code == 0
    (place / "body.json").write_text('{"n": 1}')
    assert telemock(*asked, "-d", "@body.json").code == 0
    assert telemock(*asked, "-d", "@-", stdin=b'{"n": 1}').code == 0
    wrong = telemock(*asked, "-d", '{"n": 2}')
    assert wrong.code == 1
    assert "no: body n is 2, wanted equals 1" in wrong.out


@pytest.mark.parametrize(
    "arguments",
    [["ftp://a"], [URL, "-H", "novalue"], [URL, "-d", "@gone"], [URL, "--mode", "hide"]],
)
def test_wrong_arguments_are_usage(telemock: Telemock, arguments: list[str]) -> None:
    done = telemock("rules", "explain", *arguments)
    assert done.code == 2
    assert "Traceback" not in done.err


def test_explain_shows_names_and_the_canonical_form(telemock: Telemock) -> None:
    spelled = "https://cdn.cribl.io/x/..//telemetry/"
    done = telemock("rules", "explain", spelled, "-H", "Host: other.example")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[:2] == [
        "mock: rule telemetry matches by the name cdn.cribl.io, with the path read as /telemetry/",
        "names: other.example, cdn.cribl.io",
    ]
    assert lines[2:4] == ["path could be read as:", "  /x/..//telemetry/"]
    assert "  /telemetry/" in lines
    many = telemock("rules", "explain", "https://cdn.cribl.io/%2e//;a/..%5c%252e%c1%b4/.%2f/x?")
    assert " more" in many.out


def test_what_is_not_stated_is_a_note_and_no_error(telemock: Telemock, place: Path) -> None:
    (place / "acme.yaml").write_text(
        "id: acme\ntitle: Acme\nhosts: [a.test]\nrules: [{id: a, action: observe}]\n"
    )
    done = telemock("rules", "check", "acme.yaml")
    assert done.code == 0 and "acme.yaml: acme: 1 rule for a.test: right\n" in done.out
    for name in ("licence", "evidence"):
        assert f"acme.yaml: note: no {name}: it is not stated" in done.out
    told = json.loads(telemock("rules", "check", "acme.yaml", "--json").out)
    assert [note["lacks"] for note in told["notes"]] == ["licence", "evidence"]
    assert telemock("rules", "check", "cribl").out.count("note") == 0
