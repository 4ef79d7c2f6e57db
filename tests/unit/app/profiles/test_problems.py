"""Problems are sentences with the path in the file, the value and a remedy."""

import pytest

from app.profiles import ProfileError, ProfileProblem
from app.profiles.problems import place, shown


def test_problem_reads_as_file_place_sentence_and_hint() -> None:
    problem = ProfileProblem(
        "cribl.yaml", "rules[2].action", "'mok'", "'mok' is not an action", "write mock"
    )
    assert str(problem) == "cribl.yaml: rules[2].action: 'mok' is not an action\n\nhint: write mock"
    assert str(problem._replace(where="", hint="")) == "cribl.yaml: 'mok' is not an action"


def test_error_has_every_problem() -> None:
    error = ProfileError([ProfileProblem("a", "x", "", "one"), ProfileProblem("b", "y", "", "two")])
    assert str(error) == "a: x: one\n\nb: y: two"


@pytest.mark.parametrize(
    "loc, expected",
    [
        (("rules", 0, "match", "path", 0, "regex"), "rules[0].match.path.regex"),
        (("rules", 1, "match", "path", 1), "rules[1].match.path[1]"),
        (("rules", 0, "answer"), "rules[0].answer"),
        (("rules", 5), "rules[5]"),
        ((), ""),
    ],
)
def test_place_names_only_what_stands_in_the_file(
    loc: tuple[int | str, ...], expected: str
) -> None:
    document = {"rules": [{"match": {"path": {"regex": "x"}}}, {"match": {"path": ["/a", "b"]}}]}
    assert place(document, loc) == expected


def test_shown_values_cannot_act_on_a_terminal_and_are_short() -> None:
    assert shown("\x1b[31m\n") == "'\\x1b[31m\\n'"
    assert len(shown("x" * 1000)) == 80
