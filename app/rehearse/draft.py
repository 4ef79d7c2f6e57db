"""Writes the profile of one rehearsal: the given one, with one rule's answer under a fault."""

import shutil
from pathlib import Path
from typing import Any

import yaml

from app.profiles.read import document, find
from app.rehearse.faults import Fault, over


class Original:
    """The profile that is rehearsed. `named` is a built-in's name, or a file.

    Raises ProfileError where there is none, or where it is not readable.
    """

    def __init__(self, named: str) -> None:
        self._source = find([named])[0]
        self._document: dict[str, Any] = document(self._source)

    def write(self, folder: Path, rule: str, fault: Fault | None) -> Path:
        """Writes it to the folder, with the files that its answers name; returns its path."""
        rules = [
            self._under(one, fault) if fault and one["id"] == rule else one
            for one in self._document["rules"]
        ]
        for name in _files(rules):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self._source.path.parent / name, target)
        path = folder / "profile.yaml"
        written = yaml.safe_dump({**self._document, "rules": rules}, sort_keys=False)
        path.write_text(written, encoding="utf-8")
        return path

    def _under(self, rule: dict[str, Any], fault: Fault) -> dict[str, Any]:
        if fault.failure:
            return rule
        return {**rule, "action": "mock", "answer": over(rule.get("answer") or {}, fault)}


def _files(rules: list[dict[str, Any]]) -> set[str]:
    answers = [rule["answer"] for rule in rules if rule.get("answer")]
    replies = [reply for answer in answers for reply in (answer, *answer.get("sequence", ()))]
    return {reply["file"] for reply in replies if reply.get("file")}
