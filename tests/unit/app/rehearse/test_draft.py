"""app/rehearse/draft.py: a profile of which nothing is forwarded."""

import pytest

from app.contract.actions import FORWARDED
from app.profiles.compile import load
from app.profiles.problems import ProfileError
from app.profiles.read import built_in
from app.rehearse.draft import write

FILES = """
id: files
title: With files
licence: {class: none, note: none}
evidence: [{claim: it asks, source: here, verified: 2026-01}]
hosts: [a.test, {name: b.test, unmatched: pass}]
rules:
  - {id: one, match: {path: /one}, action: mock, answer: {file: answers/one.json}}
  - {id: two, match: {path: /two}, action: observe}
  - {id: three, match: {path: /three}, action: pass}
  - {id: four, match: {path: /four}, action: block}
"""


@pytest.mark.parametrize("name", built_in())
def test_nothing_of_any_profile_is_forwarded(name, tmp_path):
    usual = load([name]).rules.profiles[0]
    id, path = write(name, tmp_path)
    (found,) = load([path]).rules.profiles
    assert found.id == id == usual.id
    assert not {rule.action for rule in found.rules} & FORWARDED
    assert not {host.unmatched for host in found.hosts} & FORWARDED
    for before, after in zip(usual.rules, found.rules, strict=True):
        assert (before.id, before.match, before.answer) == (after.id, after.match, after.answer)


def test_files_of_answers_come_with_it(tmp_path):
    (tmp_path / "answers").mkdir()
    (tmp_path / "answers" / "one.json").write_text('{"a": 1}')
    (tmp_path / "files.yaml").write_text(FILES)
    folder = tmp_path / "draft"
    folder.mkdir()
    _, path = write(str(tmp_path / "files.yaml"), folder)
    (found,) = load([path]).rules.profiles
    assert found.rules[0].answer.body == b'{"a": 1}'
    assert [rule.action for rule in found.rules] == ["mock", "mock", "mock", "block"]
    assert {host.unmatched for host in found.hosts} == {"block"}


def test_an_unknown_profile_and_a_wrong_one_are_named(tmp_path):
    with pytest.raises(ProfileError, match="no-such"):
        write("no-such", tmp_path)
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(FILES.replace("action: observe", "action: obzerve"))
    with pytest.raises(ProfileError, match="obzerve"):
        write(str(wrong), tmp_path)
