"""What people write is checked strictly, and every refusal says how to put it right."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.profiles.schema import ProfileFile, milliseconds
from tests.unit.app.profiles.conftest import HEAD, Refused


def rule(text: str) -> str:
    return HEAD + "rules: [{id: a, " + text + "}]\n"


@pytest.mark.parametrize(
    "text, where, message, hint",
    [
        (
            rule("action: mok"), "rules[0].action",
            "'mok' is not an action, expected mock, observe, block, pass or hold",
            "did you mean mock?",
        ),
        (
            rule("action: pass").replace("[t.acme.example,", "[{name: a, unmatched: deny},"),
            "hosts[0].unmatched", "'deny' is not an unmatched, expected block or pass", "block",
        ),
        (
            rule("action: pass").replace("[t.acme.example,", "[{unmatched: block},"),
            "hosts[0].name", "is missing", "add `name: …`",
        ),
        (
            rule("action: pass").replace("[t.acme.example,", "[{name: '*.a'},"),
            "hosts[0].name", "'*.a' is not a host name", "'.a'",
        ),
        *(
            (
                rule("action: pass").replace("[t.acme.example,", f"[{{name: a, ports: {ports}}},"),
                f"hosts[0].ports{at}", message, hint,
            )
            for ports, at, message, hint in (
                ("[4319, 443]", "", "port 443 is led to the sidecar in any case", "leave `ports`"),
                ("[1, 2, 1]", "", "port 1 stands in the list twice", "keep one"),
                ("[0]", "[0]", "0: it should be greater than or equal to 1", ""),
                ("[65536]", "[0]", "65536: it should be less than or equal to 65535", ""),
                ("['4319']", "[0]", "'4319' is not a whole number", ""),
                ("[true]", "[0]", "True is not a whole number", ""),
                ("[]", "", "List should have at least 1 item", ""),
                ("[1, 2, 3, 4, 5, 6, 7, 8, 9]", "", "List should have at most 8 items", ""),
                ("4319", "", "4319 is not a list", ""),
            )
        ),
        (
            rule("action: pass").replace("[t.acme.example,", "['a.example:4319',"),
            "hosts[0]", "'a.example:4319' is not a host name", "{name: a.example, ports: [4319]}",
        ),
        *(
            (
                rule("action: pass") + f"documented: [{pages}]\n", where, message, hint,
            )
            for pages, where, message, hint in (
                (
                    "{source: s, verified: 2026-11, none: n, sends: [{words: w}]}", "documented[0]",
                    "`none` says that there is no list, and `sends` is one", "remove `none`",
                ),
                (
                    "{source: s, verified: 2026-11}", "documented[0]", "`sends` is missing",
                    "or write `none:",
                ),
                (
                    "{source: s, verified: 2026-11, sends: []}", "documented[0].sends",
                    "List should have at least 1 item", "",
                ),
                (
                    "{source: s, verified: 2026-11, none: ''}", "documented[0].none",
                    "String should have at least 1 character", "",
                ),
                ("{source: s, none: n}", "documented[0].verified", "is missing", "verified: …"),
                (
                    "{source: s, verified: 2026-11, none: n}, "
                    "{source: s, verified: 2026-11, sends: [{words: w}]}", "documented",
                    "one entry has a list in `sends`, another says in `none`", "remove the entry",
                ),
            )
        ),
        (rule("action: hold"), "rules[0].action", "operator's public key", "use observe"),
        (rule("match: {path: /a}"), "rules[0].action", "is missing", "add `action: …`"),
        (rule("action: pass, metod: x"), "rules[0].metod", "'metod' is not a key", "'methods'"),
        (
            rule("action: pass, match: {path: '/a?b'}"), "rules[0].match.path",
            "'/a?b' is not a path alone", "query",
        ),
        (rule("action: pass, match: {path: a}"), "rules[0].match.path", "'a' is not a path", "/"),
        (
            rule("action: pass, match: {path: /ü}"), "rules[0].match.path",
            "'/ü' is not a path", "percent-encoded",
        ),
        (
            rule("action: pass, match: {path: {regex: '(?=a)'}}"), "rules[0].match.path.regex",
            "is not an RE2 regular expression: invalid perl operator", "linear time",
        ),
        (
            rule("action: pass, match: {path: [/a, {prefix: /b, exact: /c}]}"),
            "rules[0].match.path[1]", "expected one of exact, prefix, regex", "",
        ),
        (
            rule("action: pass, match: {query: {v: 4.16}}"), "rules[0].match.query.v",
            "4.16 is not text", "quotes",
        ),
        (
            rule("action: pass, match: {query: {v: 4.10}}"), "rules[0].match.query.v",
            "4.10 is not text", "quotes",
        ),
        (
            rule("action: pass, match: {methods: [get]}"), "rules[0].match.methods[0]",
            "'get' is not a method in upper case", "",
        ),
        (
            rule("action: pass, answer: {status: 200}"), "rules[0]",
            "the action is pass", "action: mock",
        ),
        (rule("action: mock, answer: {status: 99}"), "rules[0].answer.status", "99: it should", ""),
        (
            rule("action: mock, answer: {delay: 2min}"), "rules[0].answer.delay",
            "'2min' is not a time of at most 60s", "200ms",
        ),
        (rule("action: mock, answer: {delay: 61s}"), "rules[0].answer.delay", "at most 60s", ""),
        (
            rule("action: mock, answer: {at: sidecar, template: x}"), "rules[0].answer",
            "the sidecar cannot answer with template", "at: sidecar",
        ),
        (
            rule("action: mock, answer: {body: a, file: b}"), "rules[0].answer",
            "body and file are given", "",
        ),
        (
            rule("action: mock, answer: {status: 204, body: a}"), "rules[0].answer",
            "status 204 has no body", "",
        ),
        (
            rule('action: mock, answer: {headers: {x: "a\\r\\nb: c"}}'), "rules[0].answer",
            "no header can carry", "one line",
        ),
        (
            rule('action: mock, answer: {headers: {Content-Length: "3"}}'), "rules[0].answer",
            "set by telemock itself", "remove",
        ),
        (
            rule("action: mock, answer: {sequence: [{status: 500}], body: a}"), "rules[0].answer",
            "sequence and body are given", "",
        ),
        (
            rule("action: mock, answer: {websocket: true, status: 404}"), "rules[0].answer",
            "only a body", "",
        ),
        (
            HEAD + "sensitive: [{field: lic, as: mask}]\nrules: [{id: a, action: pass}]",
            "sensitive[0].field", "'lic' does not name a field", "query.NAME",
        ),
        (
            HEAD + "version_from: [any.v]\nrules: [{id: a, action: pass}]",
            "version_from[0]", "'any.v' names no single place", "",
        ),
        (
            HEAD + "version_from: [path.version]\nrules: [{id: a, action: pass, route: /v1/x}]",
            "version_from[0].field", "no rule's route names the segment 'version'", "{version}",
        ),
        (
            HEAD + "sensitive: [{field: path.org, as: mask}]\nrules: [{id: a, action: pass}]",
            "sensitive[0].field", "no rule's route names the segment 'org'", "{org}",
        ),
        (HEAD + "rules: []", "rules", "at least 1 item", ""),
        (HEAD + "rules: {id: a}", "rules", "is not a list", ""),
        (HEAD.replace("acme.example", "Acme.example"), "hosts[0]", "host name", "t.acme.example"),
        (HEAD.replace(" .acme.test", "'*.acme.test'"), "hosts[1]", "'*.acme.test'", "'.acme.test'"),
        (HEAD.replace("t.acme.example", "'https://a:1'"), "hosts[0]", "without scheme", ""),
        (HEAD.replace("2026-01-31", "soon"), "evidence[0].verified", "'soon' is not a day", ""),
        (HEAD.replace("s: free", "s: fre"), "licence.class", "'fre' is not a class", "free"),
    ],
)  # fmt: skip
def test_refusal_names_place_value_and_remedy(
    refused: Refused, text: str, where: str, message: str, hint: str
) -> None:
    problems = {p.where: p for p in refused(text)}
    assert where in problems, problems
    assert message in problems[where].message
    assert hint in problems[where].hint


def test_every_problem_of_a_file_is_reported_at_once(refused: Refused) -> None:
    problems = refused("id: A\nhosts: [X]\nrules: [{id: a, action: b}, 7]\n")
    assert [p.where for p in problems] == [
        "id", "title", "hosts[0]", "rules[0].action", "rules[1]",
    ]  # fmt: skip


@pytest.mark.parametrize("text, expected", [("200ms", 200), ("1.5s", 1500), ("0s", 0)])
def test_milliseconds(text: str, expected: int) -> None:
    assert milliseconds(text) == expected


def test_common_rule_has_four_lines() -> None:
    text = """\
- id: usage
  match: {methods: [POST], path: /v1/usage}
  action: mock
  answer: {status: 204}
"""
    written = yaml.safe_load(HEAD) | {"rules": yaml.safe_load(text)}
    (rule,) = ProfileFile.model_validate(written).rules
    assert (rule.id, rule.action, rule.answer and rule.answer.status) == ("usage", "mock", 204)


def test_json_schema_describes_every_key() -> None:
    path = Path(__file__).parents[4] / "app/profiles/schema.json"
    schema: dict[str, Any] = json.loads(path.read_text())
    models = {"ProfileFile": schema, **schema["$defs"]}
    assert models["Rule"]["additionalProperties"] is False
    assert {"as", "field"} == set(models["Sensitive"]["properties"])
    assert models["Match"]["properties"]["query"]["additionalProperties"] == {
        "anyOf": [{"type": "string"}, {"$ref": "#/$defs/ValueIs"}]
    }
