"""app/rehearse/draft.py: the profile of one rehearsal."""

import pytest

from app.profiles.compile import load
from app.profiles.problems import ProfileError
from app.profiles.read import built_in
from app.rehearse.draft import Original
from app.rehearse.faults import FAULTS

FILES = """
id: files
title: With files
licence: {class: none, note: none}
evidence: [{claim: it asks, source: here, verified: 2026-01}]
hosts: [a.test]
rules:
  - {id: one, match: {path: /one}, action: mock, answer: {file: answers/one.json}}
  - {id: two, match: {path: /two}, action: observe}
"""


@pytest.mark.parametrize("name", built_in())
def test_every_rule_of_every_profile_can_fail(name, tmp_path):
    original = Original(name)
    usual = load([name]).rules.profiles[0]
    for number, rule in enumerate(usual.rules):
        folder = tmp_path / str(number)
        folder.mkdir()
        (fault,) = (fault for fault in FAULTS if fault.id == "500")
        found = load([original.write(folder, rule.id, fault)]).rules.profiles[0]
        for before, after in zip(usual.rules, found.rules, strict=True):
            if after.id == rule.id:
                assert after.action == "mock"
                assert after.answer is not None and after.answer.status == 500
            else:
                assert after == before


def test_files_of_answers_come_with_it(tmp_path):
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "one.json").write_text('{"a": 1}')
    (tmp_path / "files.yaml").write_text(FILES)
    folder = tmp_path / "draft"
    folder.mkdir()
    (slow,) = (fault for fault in FAULTS if fault.id == "slow")
    original = Original(str(tmp_path / "files.yaml"))
    one, two = load([original.write(folder, "two", slow)]).rules.profiles[0].rules
    assert one.answer is not None and one.answer.body == b'{"a": 1}'
    assert two.answer is not None and two.answer.fault == "slow_body"


def test_without_a_fault_it_is_the_same(tmp_path):
    found = load([Original("cribl").write(tmp_path, "", None)]).rules.profiles
    assert found == load(["cribl"]).rules.profiles


def test_an_unknown_profile_is_named():
    with pytest.raises(ProfileError, match="no-such"):
        Original("no-such")
