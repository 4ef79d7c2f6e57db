"""Profiles of one's own: `telemock profiles add` puts them into the data directory, where the next
`telemock run` or `serve` reads them.

`app.settings` finds the directory; the files are named for their profiles' ids.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from app.contract import state
from app.contract.files import PRIVATE_DIR, write_whole
from app.contract.names import DIR_PROFILES
from app.contract.rules import Profile
from app.profiles.compile import Loaded, compiled_draft, load_each
from app.profiles.problems import ProfileError, ProfileProblem, shown
from app.profiles.read import BUILT_IN, looked, read_bytes


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
    profile = compiled_draft(content, label)
    place = file_of(data, profile.id)
    if file.resolve() == place.resolve():
        raise _refused(label, profile.id, "is added already: this is its file", "edit it in place")
    for source in looked(in_use)[0]:
        others = load_each([source.path], {}).rules.profiles
        ours = source.path.parent == BUILT_IN or source.path.resolve() == place.resolve()
        if not ours and any(other.id == profile.id for other in others):
            message = f"is the id of {source.label} too, which TELEMOCK_PROFILES names"
            raise _refused(label, profile.id, message, "give one of them another id")
    make(data)
    try:
        write_whole(place, [content], put=os.replace if force else os.link)
    except FileExistsError:
        hint = f"--force replaces it; `telemock profiles show {profile.id}` prints it"
        raise _refused(label, profile.id, f"is added already, as {place}", hint) from None
    return profile, place


def remove(id: str, data: Path) -> Path:
    """Raises ProfileError if no such profile was added."""
    place = file_of(data, id)
    known = [path.stem for path in sorted(place.parent.glob("*.yaml"))]
    if id not in known:
        hint = f"added ones: {', '.join(known)}" if known else "none was added"
        problem = ProfileProblem(shown(id), "", shown(id), "is the id of no added profile", hint)
        raise ProfileError([problem])
    place.unlink()
    return place


def _refused(label: str, id: str, message: str, hint: str) -> ProfileError:
    return ProfileError([ProfileProblem(label, "id", shown(id), f"{id!r} {message}", hint)])
