"""app/learn/yaml_text.py: whatever was sent, the draft is one that rules check finds right."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from app.contract import rules as contract
from app.contract.rules import RuleSet, Seen, decide
from app.learn.draft import NothingToLearn, draft
from app.learn.yaml_text import remove_files, write_files, written
from app.profiles.compile import compiled_draft
from tests.unit.app.learn.conftest import request

ANY = st.text(max_size=60) | st.sampled_from(
    ("\x1b[31m", "\u202e", "---", "*a", "&a", "!!x y", "'", '"', "{{ x }}", "a: b", "# c", "\n- x",
     "\x00", "\x85", "\ufeff", "***", "tok_0123456789abcdef01234567", "1.2.3", "4.10", "yes", "~")
)  # fmt: skip
PATH = st.text("/ab1-.{}*;=%@_~+'\"\\", max_size=60).map(lambda path: "/" + path)
VALUES = st.recursive(
    ANY | st.integers() | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY, inner, max_size=4),
    max_leaves=12,
)
ONE = st.fixed_dictionaries(
    {
        "path": PATH,
        "method": st.sampled_from(("GET", "POST", "HEAD", "OPTIONS", "get", "A B")),
        "host": st.sampled_from(("a.test", "b.test", "A.test", "1.2.3.4", "::1", "a b", "")),
        "query": st.lists(st.tuples(ANY, ANY), max_size=4),
        "headers": st.lists(st.tuples(ANY, ANY), max_size=4),
        "answer": st.none() | st.tuples(st.integers(100, 599), ANY, ANY.map(str.encode)),
        "sent": VALUES.map(lambda value: yaml.safe_dump(value).encode()) | st.binary(max_size=60),
    }
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ONE, min_size=1, max_size=8))
def test_a_draft_of_anything_is_right_and_takes_what_was_seen(sent: list[dict[str, Any]]) -> None:
    records = [request(n, **one) for n, one in enumerate(sent)]
    try:
        found = draft(records)
    except NothingToLearn:
        return
    text = written(found).text
    assert text.replace("\n", "").isprintable()
    rules = RuleSet((compiled_draft(text.encode(), "x"),))
    for endpoint in found.endpoints:
        for one in endpoint.looks:
            asked = one.request
            seen = Seen(
                method=asked.method, host=asked.host, path=asked.path, headers=asked.headers
            )
            decision = decide(rules, seen)
            assert decision.action == "mock" and decision.rule is not None
    by_id: dict[str, contract.Rule] = {rule.id: rule for rule in rules.profiles[0].rules}
    for endpoint in found.endpoints:
        assert by_id[endpoint.id].answer.body == endpoint.reply.body.encode()
        assert by_id[endpoint.id].answer.status == endpoint.reply.status


def test_it_says_what_was_seen_and_asks_for_licence_and_evidence() -> None:
    text = written(draft([request(n * 60, sent=b'{"version": "4.16.1"}') for n in range(5)])).text
    for part in (
        "from 5 requests, 2026-", "# licence: ", "# evidence: [{claim: POST /v1/usage at stats",
        "# The product's version, it seems; seen: 4.16.1.\nversion_from: [body.version]\n",
        "cadence: {every: 1m}\n", "  # 5 requests, ", "  - id: other\n    action: observe\n",
    ):  # fmt: skip
        assert part in text


def test_a_line_that_was_asked_for_is_right_when_it_is_taken_in() -> None:
    text = written(draft([request(0)])).text
    for name in ("licence", "evidence", "version_from", "sensitive"):
        text = text.replace(f"\n# {name}:", f"\n{name}:")
    profile = compiled_draft(text.encode(), "x")
    assert profile.licence_note == "no terms known" and profile.version_from and profile.sensitive


@pytest.mark.parametrize("version", ["4.10", "1.2.3"])
def test_several_hosts_are_told_apart(version: str) -> None:
    records = [request(0, host="a.test"), request(1, host="b.test", path="/other")]
    rules = compiled_draft(written(draft(records)).text.encode(), "x").rules
    assert [[h.name for h in rule.match.hosts] for rule in rules] == [["a.test"], ["b.test"], []]


def test_files_are_written_all_or_none(tmp_path: Path) -> None:
    profile = tmp_path / "acme.yaml"
    files = {"a/one": b"1", "a/two": b"2"}
    assert write_files(profile, files) == [tmp_path / name for name in files]
    assert write_files(profile, files) == []  # they are there
    (tmp_path / "a/two").write_bytes(b"a person's")
    (tmp_path / "a/one").unlink()
    with pytest.raises(FileExistsError):
        write_files(profile, files)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["two"]
    write_files(profile, files, force=True)
    assert (tmp_path / "a/two").read_bytes() == b"2"
    remove_files([tmp_path / name for name in files])
    assert [*tmp_path.iterdir()] == []
