import asyncio
import sys

import pytest

from app.profiles import draft
from app.profiles.draft import LONGEST, check, checked
from app.profiles.read import BUILT_IN

CRIBL = (BUILT_IN / "cribl.yaml").read_text()
RULE = "rules:\n  - {id: a, match: {hosts: [a.test]}, action: mock, answer: {file: x.html}}\n"


def test_the_built_in_profile_is_right() -> None:
    found = asyncio.run(checked(CRIBL))
    assert found.problems == []
    assert found.profile is not None and found.profile.id == "cribl"


@pytest.mark.parametrize(
    ("text", "where", "message", "hint"),
    [
        ("", "", "holds no profile", "begins with"),
        ("a: [", "line 1, column 5", "is not valid YAML", "needs quotes"),
        (CRIBL.replace("action: mock", "action: mocked"), ".action", "'mocked' is not an action",
         "did you mean mock?"),
        (CRIBL + "nonsense: 1\n", "nonsense", "is not a key", ""),
    ],
)  # fmt: skip
def test_problems_have_their_place_and_remedy(
    text: str, where: str, message: str, hint: str
) -> None:
    found = asyncio.run(checked(text))
    assert found.profile is None
    one = found.problems[0]
    assert where in one.where and message in one.message and hint in one.hint


def test_no_file_of_the_app_is_read(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.html").write_text("ours")
    for name in ("x.html", "../x.html", "/etc/passwd"):
        found = check((CRIBL.split("rules:")[0] + RULE.replace("x.html", name)).encode())
        said = [p for p in found.problems if p.where.endswith("answer.file")]
        assert len(said) == 1 and "a draft has none beside it" in said[0].message
        assert found.profile is None


def test_a_draft_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    (one,) = asyncio.run(checked("x" * (LONGEST + 1))).problems
    assert "the limit here is" in one.message and one.hint
    monkeypatch.setattr(draft, "SECONDS", 0.01)
    (one,) = asyncio.run(checked(CRIBL)).problems
    assert "was not read within" in one.message and one.hint


def test_one_that_dies_is_a_problem_of_the_draft(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    (one,) = asyncio.run(checked(CRIBL)).problems
    assert "more memory or time" in one.message


def test_text_that_is_no_utf8_is_read() -> None:
    assert asyncio.run(checked("a: \ud800")).problems
