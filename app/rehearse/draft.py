"""Writes the profile of a rehearsal: the given one, of which nothing is forwarded."""

import shutil
from pathlib import Path
from typing import Any

import yaml

from app.contract.actions import DENIED, FORWARDED, MOCK
from app.profiles.compile import load
from app.profiles.read import document, find


def write(named: str, folder: Path) -> tuple[str, Path]:
    """Writes it to the folder, with the files that its answers name; returns its id and path.
    `named` is a built-in's name, or a file. Raises ProfileError."""
    load([named])  # with all that is wrong
    source = find([named])[0]
    written: dict[str, Any] = document(source)
    rules = [_answered(rule) for rule in written["rules"]]
    hosts = [_closed(host) for host in written["hosts"]]
    for name in _files(rules):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source.path.parent / name, target)
    path = folder / "profile.yaml"
    text = yaml.safe_dump({**written, "hosts": hosts, "rules": rules}, sort_keys=False)
    path.write_text(text, encoding="utf-8")
    return str(written["id"]), path


def _answered(rule: dict[str, Any]) -> dict[str, Any]:
    return {**rule, "action": MOCK} if rule["action"] in FORWARDED else rule


def _closed(host: str | dict[str, Any]) -> dict[str, Any]:
    return {**({"name": host} if isinstance(host, str) else host), "unmatched": DENIED}


def _files(rules: list[dict[str, Any]]) -> set[str]:
    answers = [rule["answer"] for rule in rules if rule.get("answer")]
    replies = [reply for answer in answers for reply in (answer, *answer.get("sequence", ()))]
    return {reply["file"] for reply in replies if reply.get("file")}
