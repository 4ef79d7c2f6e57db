"""Sources are found, and files that hold no YAML are refused with a sentence."""

from pathlib import Path

import pytest

from app.profiles import ProfileError
from app.profiles.read import FILE_CAP, ProfileSource, built_in, document, find


def problem_of(source: ProfileSource) -> str:
    with pytest.raises(ProfileError) as caught:
        document(source)
    (problem,) = caught.value.problems
    assert problem.hint
    return f"{problem.where}: {problem.message}".removeprefix(": ")


def test_built_in_names_win_over_folders_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cribl").mkdir()
    (found,) = find(["cribl"])
    assert found.label == "cribl.yaml"
    assert found.path.parent.name == "vendors"
    assert "cribl" in built_in()


def test_folder_stands_for_its_yaml_files_in_order_each_once(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "notes.txt", "c.yaml.bak"):
        (tmp_path / name).touch()
    found = find([tmp_path, str(tmp_path / "b.yaml")])
    assert [source.path.name for source in found] == ["a.yml", "b.yaml"]


def test_folder_beside_a_profile_may_be_empty(tmp_path: Path) -> None:
    assert [source.label for source in find(["cribl", tmp_path])] == ["cribl.yaml"]
    with pytest.raises(ProfileError) as caught:
        find(["cribl", tmp_path, tmp_path / "missing"])
    assert [problem.file for problem in caught.value.problems] == [str(tmp_path / "missing")]


def test_sources_that_are_nothing_are_all_named(tmp_path: Path) -> None:
    with pytest.raises(ProfileError) as caught:
        find(["crible", tmp_path])
    name, folder = caught.value.problems
    assert "no built-in profile, file or folder" in name.message
    assert "cribl" in name.hint
    assert folder.message == "the folder holds no profile"


@pytest.mark.parametrize(
    "data, expected",
    [
        (b"a: [1\nb: 2\n", "line 2, column 2: is not valid YAML: expected ',' or ']'"),
        (b"\xff\xfe\x00\x01", "is not UTF-8 text (byte 0 is 0xff)"),
        (b"a\0b", "is not valid YAML: unacceptable character #x0000"),
        (b"a: 1\nb: 2\na: 3\n", "line 3, column 1: is not valid YAML: key 'a' stands here twice"),
        (b"a: &x [1]\nb: *x\n", "line 2, column 4: is not valid YAML: alias *x is not supported"),
        (b"[a]: 1\n", "line 1, column 1: is not valid YAML: a key is text"),
        (b"[" * 5000, "is not valid YAML: nested more than 50 deep"),
        (b"a: !!python/object:os.system {}\n", "line 1, column 4: is not valid YAML: could not"),
        (b"a: 1\n---\nb: 2\n", "line 2, column 1: is not valid YAML"),
        (b"a: 2026-99-99\n", "is not valid YAML: month must be in 1..12"),
        (b"#" * (FILE_CAP + 1), "is larger than 1 MiB"),
    ],
)
def test_broken_files_are_refused(tmp_path: Path, data: bytes, expected: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(data)
    assert expected in problem_of(ProfileSource(path, "x.yaml"))


def test_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    assert problem_of(ProfileSource(tmp_path, "x.yaml")) == "cannot be read: is a directory"
    assert "no such file" in problem_of(ProfileSource(tmp_path / "gone.yaml", "gone.yaml"))
