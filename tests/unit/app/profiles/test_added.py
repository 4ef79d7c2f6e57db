"""Profiles of one's own: added whole or not at all, and found again."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from app.profiles import ProfileError
from app.profiles import added as module
from app.profiles.added import add, added, answers_of, file_of, remove
from tests.hostile_profiles import HOSTILE

TEXT = "id: acme\ntitle: Acme\nhosts: [a.test]\nrules: [{id: a, action: observe}]\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "draft.yaml"
    path.write_text(TEXT)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


def test_what_is_added_is_found_and_removed(file: Path, data: Path) -> None:
    assert added(data).rules.profiles == ()
    profile, place = add(file, data, [])
    assert (profile.id, place) == ("acme", file_of(data, "acme"))
    assert place.read_text() == TEXT
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert [p.id for p in added(data).rules.profiles] == ["acme"]
    assert remove("acme", data) == place
    assert added(data).rules.profiles == ()
    assert [*place.parent.iterdir()] == []


def test_an_added_one_is_replaced_by_force_alone(file: Path, data: Path) -> None:
    add(file, data, [])
    file.write_text(TEXT.replace("Acme", "Other"))
    with pytest.raises(ProfileError, match=r"draft.yaml: id: 'acme' is added already") as refused:
        add(file, data, [])
    assert "--force" in refused.value.problems[0].hint
    assert "Acme" in file_of(data, "acme").read_text()
    add(file, data, [], force=True)
    assert "Other" in file_of(data, "acme").read_text()


@pytest.mark.parametrize(
    ("text", "where", "message"),
    [
        ("", "", "holds no profile"),
        (TEXT.replace("observe", "obsrve"), "rules[0].action", "'obsrve' is not an action"),
        (TEXT.replace("acme", "../up", 1), "id", "'../up' is not an id"),
        (TEXT.replace("observe", "mock, answer: {file: /etc/passwd}"), "rules[0].answer.file",
         "'/etc/passwd' is not a file beside the profile"),
        ("a: *b", "line 1, column 4", "alias"),
        ("x" * (1 << 20) + "y", "", "larger than 1 MiB"),
    ],
)  # fmt: skip
def test_a_wrong_one_names_file_place_and_value_and_leaves_nothing(
    file: Path, data: Path, text: str, where: str, message: str
) -> None:
    file.write_text(text)
    with pytest.raises(ProfileError) as refused:
        add(file, data, [])
    (problem,) = [p for p in refused.value.problems if p.where == where]
    assert problem.file == str(file) and message in problem.message and problem.hint
    assert not data.exists()


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_one_is_refused_with_file_place_value_and_remedy(
    file: Path, data: Path, kind: str
) -> None:
    text, where, message = HOSTILE[kind]
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ProfileError) as refused:
        add(file, data, [])
    problem = refused.value.problems[0]
    line = problem.where.partition(",")[0]
    assert (problem.file, line if where.startswith("line") else problem.where) == (str(file), where)
    assert message in problem.message and all(p.hint for p in refused.value.problems)
    said = str(problem)
    assert len(said) < 800 and said.replace("\n", "").isprintable()
    assert not data.exists()


def test_no_file_is_a_sentence(data: Path, tmp_path: Path) -> None:
    fifo(tmp_path / "pipe.yaml")  # which nobody writes to
    for path in (tmp_path / "gone.yaml", tmp_path, tmp_path / "pipe.yaml", Path("/dev/zero")):
        with pytest.raises(ProfileError, match="cannot be read") as refused:
            add(path, data, [])
        assert refused.value.problems[0].hint


def test_an_id_that_another_file_in_use_has_is_refused(file: Path, data: Path) -> None:
    other = file.with_name("other.yaml")
    other.write_text(TEXT)
    with pytest.raises(ProfileError, match=r"'acme' is the id of .*other.yaml too"):
        add(file, data, [str(other)])
    assert not data.exists()
    add(file, data, ["cribl"])


def test_a_built_in_one_may_be_replaced(file: Path, data: Path) -> None:
    file.write_text(TEXT.replace("acme", "cribl", 1))
    assert add(file, data, ["cribl"])[0].id == "cribl"


@pytest.mark.parametrize("id", ["acme", "../draft", "", "cribl", "\x1b[31m"])
def test_what_was_not_added_is_not_removed(file: Path, data: Path, id: str) -> None:
    with pytest.raises(ProfileError, match="is the id of no added profile"):
        remove(id, data)
    assert file.exists()


WITH_ANSWERS = """# the vendor's own words
id: acme
title: Acme
hosts: [a.test]
rules:
  - id: a  # keeps its comment
    match: {path: /a, headers: {file: x}}
    action: mock
    answer: {file: hello.json, headers: {file: hello.json}}
  - id: b
    match: {path: /b}
    action: mock
    answer:
      sequence:
        - {status: 503}
        - file: |-
            in/er.bin
          status: 201
        - "file": 'a "quoted" \u00fc\U0001f600.json'
  - {id: c, action: mock, answer: {file: ./in/../hello.json}}
"""
ODD = 'a "quoted" \u00fc\U0001f600.json'


@pytest.fixture
def answered(file: Path) -> Path:
    (file.parent / "in").mkdir()
    (file.parent / "hello.json").write_bytes(b"{}")
    (file.parent / "in" / "er.bin").write_bytes(bytes(range(256)))
    (file.parent / ODD).write_text("odd")
    file.write_text(WITH_ANSWERS)
    return file


def bodies(data: Path) -> list[bytes]:
    (profile,) = added(data).rules.profiles
    answers = [rule.answer for rule in profile.rules]
    return [reply.body for answer in answers for reply in answer.sequence or (answer,)]


def test_its_answers_come_with_it_and_go_with_it(answered: Path, data: Path) -> None:
    profile, place = add(answered, data, [])
    for one in (answered, *answered.parent.glob("*.json")):
        one.unlink()
    assert [*added(data).rules.profiles] == [profile] and not added(data).problems
    assert bodies(data) == [b"{}", b"", bytes(range(256)), b"odd", b"{}"]
    (folder,) = answers_of("acme", data)
    modes = {stat.S_IMODE(one.stat().st_mode) for one in (folder, *folder.rglob("*"))}
    assert modes == {0o700, 0o600}
    text = place.read_text()
    assert "# keeps its comment" in text and "headers: {file: x}" in text
    remove("acme", data)
    assert [*place.parent.iterdir()] == []


def test_with_force_the_answers_are_replaced_too(answered: Path, data: Path) -> None:
    add(answered, data, [])
    (before,) = answers_of("acme", data)
    (answered.parent / "hello.json").write_text("new")
    with pytest.raises(ProfileError, match="is added already"):
        add(answered, data, [])
    assert answers_of("acme", data) == [before] and bodies(data)[0] == b"{}"
    add(answered, data, [], force=True)
    assert not before.exists() and bodies(data)[0] == b"new"
    answered.write_text(TEXT)
    add(answered, data, [], force=True)
    assert answers_of("acme", data) == []


def test_two_profiles_may_call_their_answers_alike(answered: Path, data: Path) -> None:
    add(answered, data, [])
    answered.write_text(WITH_ANSWERS.replace("acme", "acme-2", 1))
    (answered.parent / "hello.json").write_text("second")
    add(answered, data, [])
    remove("acme", data)
    assert bodies(data)[0] == b"second"


def test_a_missing_one_is_named_afterwards(answered: Path, data: Path) -> None:
    add(answered, data, [])
    (folder,) = answers_of("acme", data)
    (folder / "in" / "er.bin").unlink()
    (problem,) = added(data).problems
    assert problem.where == "rules[1].answer.sequence[1].file"
    assert "er.bin' cannot be read: no such file" in problem.message and problem.hint


def fifo(path: Path) -> None:
    os.mkfifo(path)


def outside(path: Path) -> None:
    path.symlink_to("/etc/hostname")


def around(path: Path) -> None:
    path.symlink_to(path)


def by_a_folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    (path.parent / "out").symlink_to("/etc")


MADE: list[tuple[str, Callable[[Path], object], str]] = [
    ("hello", fifo, "it is a pipe or device"),
    ("hello", Path.mkdir, "is a directory"),
    ("hello", outside, "is not a file beside the profile"),
    ("hello", around, "cannot be read|is not a file beside"),
    ("hello", lambda path: path.symlink_to("/dev/zero"), "is not a file beside the profile"),
    ("hello", lambda path: path.write_bytes(b"x" * (1 << 20) + b"y"), "larger than 1 MiB"),
    ("hello", lambda path: None, "no such file"),
    ("out/hostname", by_a_folder, "is not a file beside the profile"),
    ("../hello", lambda path: None, "is not a file beside the profile"),
    ("in/../../hello", lambda path: None, "is not a file beside the profile"),
    ("/dev/stdin", lambda path: None, "is not a file beside the profile"),
    ("/proc/self/environ", lambda path: None, "is not a file beside the profile"),
    ("~/.ssh/id_rsa", lambda path: None, "no such file"),
    ("file:///etc/passwd", lambda path: None, "no such file"),
    ("{{ request }}", lambda path: None, "no such file"),
    ("$HOME/x", lambda path: None, "no such file"),
    ("", lambda path: None, "is not a file beside the profile"),
    (".", lambda path: None, "is not a file beside the profile"),
    ("a\\0b", lambda path: None, "is not a file beside the profile"),
    ("a\\e[31mb", lambda path: None, "no such file"),
    ("x" * 300, lambda path: None, "file name too long"),
    ("draft.yaml/x", lambda path: None, "not a directory"),
]


@pytest.mark.parametrize(("name", "make", "message"), MADE)
def test_a_hostile_answer_is_named_and_leaves_nothing(
    file: Path, data: Path, name: str, make: Callable[[Path], object], message: str
) -> None:
    make(file.parent / "hello")
    file.write_text(TEXT.replace("observe", f'mock, answer: {{file: "{name}"}}'))
    with pytest.raises(ProfileError, match=message) as refused:
        add(file, data, [])
    (problem,) = refused.value.problems
    assert (problem.file, problem.where) == (str(file), "rules[0].answer.file")
    assert (
        problem.value and problem.hint and "\0" not in str(problem) and "\x1b" not in str(problem)
    )
    assert not data.exists()


def test_answers_without_end_in_number_are_bounded(file: Path, data: Path) -> None:
    (file.parent / "big").write_bytes(b"x" * (1 << 20))
    rules = "".join(f"- {{id: r{n}, match: {{path: /{n}}}, action: mock, answer: {{file: big}}}}\n"
                    for n in range(9))  # fmt: skip
    file.write_text(TEXT.replace("[{id: a, action: observe}]", f"\n{rules}"))
    with pytest.raises(ProfileError, match="hold more than 8 MiB"):
        add(file, data, [])
    assert not data.exists()


def test_answers_that_change_meanwhile_are_not_taken(
    answered: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = module.with_answers

    def changing(text: str, renamed: Callable[[str], str]) -> str:
        (answered.parent / "hello.json").write_text("other")
        return real(text, renamed)

    monkeypatch.setattr(module, "with_answers", changing)
    with pytest.raises(ProfileError, match="changed while it was added") as refused:
        add(answered, data, [])
    assert refused.value.problems[0].file == str(answered)
    assert [*file_of(data, "acme").parent.iterdir()] == []
