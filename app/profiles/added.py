"""Profiles of one's own: `telemock profiles add` puts them into the data directory, where the next
`telemock run` or `serve` reads them.

`app.settings` finds the directory; the files are named for their profiles' ids. Files that answers
name lie in a folder beside, `ID.TOKEN`: another one each time, so that a profile is replaced with
its answers at once, by the one file that names them.
"""

import os
import re
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path

from app.contract import state
from app.contract.files import PRIVATE_DIR, write_whole
from app.contract.names import DIR_PROFILES
from app.contract.rules import Profile
from app.profiles.compile import Loaded, compiled_draft, load_each
from app.profiles.problems import ProfileError, ProfileProblem, shown
from app.profiles.read import BUILT_IN, answer_file, looked, read_bytes, with_answers


def file_of(data: Path, id: str) -> Path:
    return data / DIR_PROFILES / f"{id}.yaml"


def make(data: Path) -> Path:
    """Makes the directory of added profiles. Raises SettingError."""
    state.make(data)
    folder = data / DIR_PROFILES
    try:
        folder.mkdir(mode=PRIVATE_DIR, exist_ok=True)
    except OSError as e:
        raise state.unusable(data, e) from None
    return folder


def added(data: Path) -> Loaded:
    """The profiles that were added; `problems` says which of their files is wrong."""
    folder = data / DIR_PROFILES
    if not folder.is_dir() or not any(folder.glob("*.yaml")):
        return load_each((), {})
    return load_each([folder], {})


def add(
    file: Path, data: Path, in_use: Sequence[str], *, force: bool = False
) -> tuple[Profile, Path]:
    """Checks the profile in `file`, alone and beside those `in_use`, and puts it, whole or not at
    all, where the next run reads it. Raises ProfileError, SettingError, OSError."""
    label = str(file)
    content = read_bytes(file, label)
    profile = compiled_draft(content, label, file)
    place = file_of(data, profile.id)
    if file.resolve() == place.resolve():
        raise _refused(label, profile.id, "is added already: this is its file", "edit it in place")
    for source in looked(in_use)[0]:
        others = load_each([source.path], {}).rules.profiles
        ours = source.path.parent == BUILT_IN or source.path.resolve() == place.resolve()
        if not ours and any(other.id == profile.id for other in others):
            message = f"is the id of {source.label} too, which TELEMOCK_PROFILES names"
            raise _refused(label, profile.id, message, "give one of them another id")
    answers: dict[Path, bytes] = {}
    folder = f"{profile.id}.{secrets.token_hex(4)}"

    def copied(name: str) -> str:
        path, answer = answer_file(file.parent, name)
        answers[path] = answer
        return f"{folder}/{path.as_posix()}"

    text = content.decode("utf-8-sig")
    content = with_answers(text, copied).encode()
    make(data)
    before = answers_of(profile.id, data)
    try:
        for path, answer in answers.items():
            target = place.parent / folder / path
            target.parent.mkdir(mode=PRIVATE_DIR, parents=True, exist_ok=True)
            write_whole(target, [answer])
        if answers and compiled_draft(content, label, place) != profile:
            hint = "add it again once nothing writes there"
            raise _refused(label, profile.id, "has answers that changed while it was added", hint)
        write_whole(place, [content], put=os.replace if force else os.link)
    except BaseException as e:
        shutil.rmtree(place.parent / folder, ignore_errors=True)
        if not isinstance(e, FileExistsError):
            raise
        hint = f"--force replaces it; `telemock profiles show {profile.id}` prints it"
        raise _refused(label, profile.id, f"is added already, as {place}", hint) from None
    for old in before:
        shutil.rmtree(old, ignore_errors=True)
    return profile, place


def answers_of(id: str, data: Path) -> list[Path]:
    """The folders with the answers of an added profile: one, or none."""
    of_it = re.compile(rf"{re.escape(id)}\.[0-9a-f]{{8}}")
    found = (data / DIR_PROFILES).glob("*.*")
    return [path for path in found if of_it.fullmatch(path.name) and path.is_dir()]


def remove(id: str, data: Path) -> Path:
    """Raises ProfileError if no such profile was added."""
    place = file_of(data, id)
    known = [path.stem for path in sorted(place.parent.glob("*.yaml"))]
    if id not in known:
        hint = f"added ones: {', '.join(known)}" if known else "none was added"
        problem = ProfileProblem(shown(id), "", shown(id), "is the id of no added profile", hint)
        raise ProfileError([problem])
    place.unlink()
    for folder in answers_of(id, data):
        shutil.rmtree(folder, ignore_errors=True)
    return place


def _refused(label: str, id: str, message: str, hint: str) -> ProfileError:
    return ProfileError([ProfileProblem(label, "id", shown(id), f"{id!r} {message}", hint)])
