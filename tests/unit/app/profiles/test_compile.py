"""Profiles compile to the contract's types; what only the whole file shows is refused too."""

import copy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.contract.rules import Bundle, Extract, Host, Seen, Sensitive, Value, decide, dump
from app.contract.rules import Path as PathRule
from app.contract.rules import load as bundle_from
from app.profiles import ProfileError, load_profiles
from app.profiles.compile import load
from tests.unit.app.profiles.conftest import HEAD, RULES, Compiled, Refused


def test_everything_written_arrives_in_the_compiled_profile(compiled: Compiled) -> None:
    profile = compiled("""\
version_from: [query.v, {field: header.User-Agent, regex: "acme/([0-9.]+)"}]
sensitive: [{field: any.GUID, as: token}, {field: body.user.mail, as: drop}]
safe_query: [v]
rules:
  - id: usage
    match:
      methods: [POST]
      hosts: [eu.acme.test]
      path: [/v1/usage, {prefix: /v2/}, {regex: "/v[3-9]/.*"}]
      query: {v: {prefix: "4."}, debug: {absent: true}}
      headers: {X-Kind: usage}
      body: {event.type: {regex: "^u"}}
    action: mock
    route: /usage
    decode: [json, gzip]
    answer:
      status: 202
      headers: {X-A: [one, two]}
      body: "ok\\n"
      delay: 1.5s
""")
    assert profile.hosts == (Host("t.acme.example"), Host("acme.test", suffix=True))
    assert profile.version_from == (
        Extract("query", "v"),
        Extract("header", "user-agent", "acme/([0-9.]+)"),
    )
    assert profile.sensitive == (
        Sensitive("any", "guid", "token"),
        Sensitive("body", "user.mail", "drop"),
    )
    assert profile.safe_query == ("v",)
    assert profile.licence_note == "Telemetry can be switched off."
    (rule,) = profile.rules
    assert (rule.id, rule.action, rule.route, rule.decoders) == (
        "usage", "mock", "/usage", ("json", "gzip"),
    )  # fmt: skip
    assert rule.match.methods == ("POST",)
    assert rule.match.hosts == (Host("eu.acme.test"),)
    assert rule.match.paths == (
        PathRule("exact", "/v1/usage"),
        PathRule("prefix", "/v2/"),
        PathRule("regex", "/v[3-9]/.*"),
    )
    assert rule.match.query == (Value("v", "prefix", "4."), Value("debug", "absent"))
    assert rule.match.headers == (Value("x-kind", "equals", "usage"),)
    assert rule.match.body == (Value("event.type", "regex", "^u"),)
    assert rule.answer.status == 202
    assert rule.answer.headers == (
        ("content-type", "text/plain; charset=utf-8"), ("x-a", "one"), ("x-a", "two"),
    )  # fmt: skip
    assert (rule.answer.body, rule.answer.delay_ms) == (b"ok\n", 1500)


@pytest.mark.parametrize(
    "path, route",
    [("/a", "/a"), ("{prefix: /a/}", "/a/*"), ("{regex: '/[ab]'}", "/[ab]"), ("[/x, /y]", "/x")],
)
def test_route_comes_from_the_first_path(compiled: Compiled, path: str, route: str) -> None:
    (rule,) = compiled(f"rules: [{{id: a, action: pass, match: {{path: {path}}}}}]").rules
    assert rule.route == route


def test_route_of_a_rule_without_a_path(compiled: Compiled) -> None:
    assert compiled(RULES).rules[0].route == "/*"


def test_answer_of_a_sequence_falls_back_to_its_first(compiled: Compiled) -> None:
    (rule,) = compiled(
        "rules: [{id: a, action: mock, answer: {sequence: [{status: 503}, {body: ok}]}}]"
    ).rules
    assert rule.answer.status == 503
    assert [(a.status, a.body) for a in rule.answer.sequence] == [(503, b""), (200, b"ok")]


def test_template_has_its_fallback_as_static_body(compiled: Compiled) -> None:
    (rule,) = compiled(
        "rules: [{id: a, action: mock, answer: {template: '{{ now }}', fallback: later}}]"
    ).rules
    assert (rule.answer.template, rule.answer.body) == ("{{ now }}", b"later")


def test_answer_file_is_read_from_the_profiles_folder(tmp_path: Path, compiled: Compiled) -> None:
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers/a.bin").write_bytes(b"\xff\x00")
    (rule,) = compiled("rules: [{id: a, action: mock, answer: {file: answers/a.bin}}]").rules
    assert rule.answer.body == b"\xff\x00"
    loaded = load([tmp_path / "acme.yaml"])
    assert loaded.files == (tmp_path / "acme.yaml", tmp_path / "answers/a.bin")


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "link", ".", '"a\\0b"', "gone"])
def test_answer_file_outside_the_folder_or_gone_is_refused(
    tmp_path: Path, refused: Refused, name: str
) -> None:
    (tmp_path.parent / "secret").write_text("secret")
    (tmp_path / "link").symlink_to("/etc/hostname")
    (problem,) = refused(HEAD + f"rules: [{{id: a, action: mock, answer: {{file: {name}}}}}]")
    assert problem.where == "rules[0].answer.file"
    assert "beside the profile" in problem.message or "cannot be read" in problem.message


def test_answer_file_over_the_cap_is_refused(tmp_path: Path, refused: Refused) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate((1 << 20) + 1)
    (problem,) = refused(HEAD + "rules: [{id: a, action: mock, answer: {file: big}}]")
    assert "'big' is larger than 1 MiB" in problem.message


def test_answer_files_of_a_profile_are_bounded_together(tmp_path: Path, refused: Refused) -> None:
    with (tmp_path / "big").open("wb") as file:
        file.truncate(1 << 20)
    steps = ", ".join(["{file: big}"] * 20)
    (problem,) = refused(
        HEAD + f"rules: [{{id: a, action: mock, answer: {{sequence: [{steps}]}}}}]"
    )
    assert problem.where == "rules[0].answer.sequence[8].file"
    assert "more than 8 MiB" in problem.message


@pytest.mark.parametrize(
    "text, where, message",
    [
        ("[{id: a, action: pass, match: {path: /a}}, {id: a, action: pass}]", "rules[1].id",
         "'a' is an earlier rule's id"),
        ("[{id: a, action: pass}, {id: b, action: mock}]", "rules[1]",
         "rule 'b' never matches: 'a' before it takes all it could"),
        ("[{id: a, action: pass, match: {hosts: [other.example]}}]", "rules[0].match.hosts[0]",
         "'other.example' is not one of the profile's hosts"),
        ("[{id: a, action: mock, answer: {template: '{% if %}'}}]", "rules[0].answer.template",
         "is not a Jinja2 template of ours: line 1"),
        ("[{id: a, action: mock, answer: {template: '{{ now|attr }}'}}]",
         "rules[0].answer.template",
         "No filter named 'attr'"),
    ],
)  # fmt: skip
def test_what_only_the_whole_file_shows(
    refused: Refused, text: str, where: str, message: str
) -> None:
    (problem,) = refused(HEAD + "rules: " + text)
    assert problem.where == where
    assert message in problem.message
    assert problem.hint


@pytest.mark.parametrize(
    ("written", "extract"),
    [
        ("path.version", Extract("path", "version")),
        ("header.X-Data.App.v", Extract("header", "x-data.App.v")),
        ("body.data›base64›json.v", Extract("body", "data›base64›json.v")),
        ("body›gzip›json.v", Extract("body", "v")),
        ("body›gzip›json[].v", Extract("body", "*.v")),
        ("body[].batch[].v", Extract("body", "*.batch[].v")),
    ],
)
def test_places_of_a_version(tmp_path: Path, written: str, extract: Extract) -> None:
    path = tmp_path / "acme.yaml"
    rules = 'rules: [{id: a, action: pass, route: "/v1/{version}"}]'
    path.write_text(f"{HEAD}version_from: ['{written}']\n{rules}")
    (profile,) = load_profiles([path]).profiles
    assert profile.version_from == (extract,)


def test_sensitive_fields_are_not_safe_and_stand_once(refused: Refused) -> None:
    text = "sensitive: [{field: any.lic, as: mask}, {field: any.LIC, as: keep}]\n"
    problems = refused(HEAD + text + "safe_query: [Lic]\n" + RULES)
    assert [p.where for p in problems] == ["sensitive[1].field", "safe_query[0]"]


@pytest.mark.parametrize("text, message", [("", "holds no profile"), ("[1]", "holds [1]")])
def test_file_without_a_profile_is_refused(refused: Refused, text: str, message: str) -> None:
    (problem,) = refused(text)
    assert message in problem.message


def test_problems_of_all_files_are_reported_and_ids_are_unique(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(HEAD + RULES)
    (tmp_path / "b.yaml").write_text(HEAD + RULES)
    (tmp_path / "c.yaml").write_text("id: 7")
    with pytest.raises(ProfileError) as caught:
        load_profiles([tmp_path])
    text = str(caught.value)
    assert f"{tmp_path / 'b.yaml'}: id: 'acme' is the id of {tmp_path / 'a.yaml'} too" in text
    assert f"{tmp_path / 'c.yaml'}: id: 7 is not text" in text


def test_etag_changes_with_the_rules_only(tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text(HEAD + RULES)
    first = load_profiles([path]).etag
    path.write_text("# a comment\n" + HEAD + RULES)
    assert load_profiles([path]).etag == first
    path.write_text(HEAD + RULES.replace("observe", "block"))
    assert load_profiles([path]).etag != first


@pytest.mark.parametrize(
    "method, path, headers, rule, action",
    [
        ("GET", "/telemetry/index.html", [], "telemetry", "mock"),
        ("GET", "/telemetry/", [], "telemetry", "mock"),
        ("GET", "/telemetry", [], "no-slash", "mock"),
        ("GET", "/telemetry/cribl.js", [], "script", "mock"),
        ("POST", "/telemetry/events", [], "events", "mock"),
        ("GET", "/telemetry/config", [], "config", "mock"),
        ("GET", "/telemetry/ws", [("Upgrade", "WebSocket")], "websocket", "mock"),
        ("GET", "/telemetry/ws", [], "other", "mock"),
        ("PUT", "/telemetry/new", [], "other", "mock"),
        ("GET", "/dl/4.16.1/cribl.tgz", [], None, "pass"),
        ("GET", "/versions.json", [], None, "pass"),
        ("GET", "/telemetryx", [], None, "pass"),
    ],
)
def test_cribl(
    method: str, path: str, headers: list[tuple[str, str]], rule: str | None, action: str
) -> None:
    rules = load_profiles(["cribl"])
    seen = Seen(method=method, host="cdn.cribl.io", path=path, headers=headers)
    decision = decide(rules, seen)
    assert decision.action == action
    assert (decision.rule.id if decision.rule else None) == rule


def test_cribl_answers_the_documented_line_and_masks_what_identifies() -> None:
    (profile,) = load_profiles(["cribl"]).profiles
    line = profile.rules[0].answer
    assert (line.status, line.body) == (200, b"cribl /// living the stream!\n")
    assert line.headers == (("content-type", "text/html"),)
    slash = profile.rules[1].answer
    assert (slash.status, slash.headers) == (302, (("location", "/telemetry/"),))
    hidden = {s.name for s in profile.sensitive if s.how != "keep"}
    assert {"lic", "guid", "env"} <= hidden
    assert not hidden & set(profile.safe_query)
    assert "24 hours" in profile.licence_note


def refusal_or_rules(path: Path) -> str | None:
    try:
        load_profiles([path])
    except ProfileError as e:
        return str(e)
    return None


@pytest.mark.parametrize(
    "template",
    [
        "{{ " + "(" * 5000,
        "{% for x in y %}" * 30 + "{% endfor %}" * 30,
        "{{ a" + ".b" * 5000 + " }}",
    ],
)
def test_template_without_end_is_refused(refused: Refused, template: str) -> None:
    (problem,) = refused(
        HEAD + f"rules: [{{id: a, action: mock, answer: {{template: '{template}'}}}}]"
    )
    assert "nested too deeply" in problem.message
    assert len(str(problem)) < 500


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@example(b"\xed\x9f\xbc:")
def test_any_file_is_refused_with_a_sentence(data: bytes) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.yaml"
        path.write_bytes(data)
        text = refusal_or_rules(path)
    assert text and "x.yaml" in text
    assert all(c.isprintable() or c == "\n" for c in text), text


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=8) | st.integers(), inner, max_size=3)
    ),
    max_leaves=5,
)
_RULE: dict[str, Any] = {
    "id": "a",
    "action": "mock",
    "match": {"path": ["/a"], "methods": ["GET"], "query": {"a": "b"}, "headers": {}},
    "answer": {"status": 200, "headers": {"a": "b"}, "sequence": [{"body": "x"}]},
}


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_value_in_any_place_is_taken_or_refused_there(data: st.DataObject) -> None:
    """What a slip of the pen makes of a profile is never another exception."""
    written = yaml.safe_load(HEAD) | {"rules": [copy.deepcopy(_RULE)]}
    node: Any = written
    while True:
        key = data.draw(st.sampled_from(list(node) if isinstance(node, dict) else range(len(node))))
        if not isinstance(node[key], dict | list) or not node[key] or data.draw(st.booleans()):
            break
        node = node[key]
    node[key] = data.draw(_VALUES)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "x.yaml"
        path.write_text(yaml.safe_dump(written, allow_unicode=True), encoding="utf-8")
        refusal_or_rules(path)


def test_a_host_says_what_becomes_of_what_no_rule_takes(tmp_path: Path) -> None:
    file = tmp_path / "acme.yaml"
    hosts = "[{name: t.acme.example, unmatched: block}, {name: .acme.test}]"
    text = (
        HEAD.replace("[t.acme.example, .acme.test]", hosts)
        + """\
rules:
  - {id: a, action: pass, match: {hosts: [t.acme.example], path: {prefix: /dl/}}}
"""
    )
    file.write_text(text)
    rules = load_profiles([file])
    assert rules.profiles[0].hosts == (
        Host("t.acme.example", unmatched="block"),
        Host("acme.test", suffix=True),
    )
    assert rules.profiles[0].rules[0].match.hosts == (Host("t.acme.example"),)
    assert rules.denies("t.acme.example") and not rules.denies("x.acme.test")
    assert bundle_from(dump(Bundle(rules))).rules == rules


def test_a_host_stands_once(refused: Refused) -> None:
    hosts = "[a.test, .a.test, {name: a.test, unmatched: block}]"
    (problem,) = refused(HEAD.replace("[t.acme.example, .acme.test]", hosts) + RULES)
    assert (problem.where, problem.message) == ("hosts[2]", "'a.test' stands in the list twice")
    assert problem.hint
