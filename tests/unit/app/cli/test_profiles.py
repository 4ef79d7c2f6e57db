"""`profiles …`: those that come with telemock, and those that are added."""

import json
from pathlib import Path

import pytest
import yaml

from app.profiles.read import BUILT_IN, built_in
from app.run.processes import App
from tests.unit.app.cli.conftest import Telemock
from tests.waiting import wait_for


def test_list_names_every_product_and_its_hosts(telemock: Telemock) -> None:
    done = telemock("profiles", "list")
    assert (done.code, done.err) == (0, "")
    listed = json.loads(telemock("profiles", "list", "--json").out)
    assert [one["profile"] for one in listed] == built_in()
    assert all(one["hosts"] and one["title"] for one in listed)
    assert {one["every"] for one in listed if one["profile"] == "loki"} == {"4h"}


def test_show_prints_the_file_itself(telemock: Telemock) -> None:
    done = telemock("profiles", "show", "vllm")
    assert done.out == (BUILT_IN / "vllm.yaml").read_text()
    assert yaml.safe_load(done.out)["id"] == "vllm"


def test_show_of_another_name_lists_what_there_is(telemock: Telemock) -> None:
    done = telemock("profiles", "show", "../read")
    assert done.code == 2 and "'../read'" in done.err and "vllm" in done.err


OWN = "id: acme\ntitle: Acme\nhosts: [a.test]\nrules: [{id: a, action: observe}]\n"


def test_what_is_added_is_listed_shown_in_use_and_removed(telemock: Telemock, place: Path) -> None:
    (place / "draft.yaml").write_text(OWN)
    done = telemock("profiles", "add", "draft.yaml")
    assert (done.code, done.err) == (0, "")
    assert done.out == "acme: added as .telemock/profiles/acme.yaml: 1 rule for a.test\n"
    (row,) = [r for r in telemock("profiles", "list").out.splitlines() if r.startswith("acme ")]
    assert row.split()[:3] == ["acme", "added", "Acme"]
    assert telemock("profiles", "show", "acme").out == OWN
    explained = telemock("rules", "explain", "https://a.test/")
    assert (explained.code, explained.out.startswith("observe: rule a matches")) == (0, True)
    assert telemock("rules", "check", "acme").out.startswith(".telemock/profiles/acme.yaml: acme:")
    assert telemock("profiles", "remove", "acme").code == 0
    assert telemock("rules", "explain", "https://a.test/").code == 1
    again = telemock("profiles", "remove", "acme")
    assert again.code == 1 and "hint: none was added" in again.err


def test_its_answers_files_come_with_it(telemock: Telemock, place: Path) -> None:
    (place / "hello.json").write_text("{}")
    text = OWN.replace("observe", "mock, answer: {file: hello.json}")
    (place / "draft.yaml").write_text(text)
    assert telemock("profiles", "add", "draft.yaml").code == 0
    shown = telemock("profiles", "show", "acme")
    (folder,) = (place / ".telemock" / "profiles").glob("acme.????????")
    assert shown.out == text.replace("hello.json", f'"{folder.name}/hello.json"')
    assert f"its answers' files are in .telemock/profiles/{folder.name}" in shown.err
    (folder / "hello.json").unlink()
    listed = telemock("profiles", "list")
    assert "rules[0].answer.file" in listed.err and "hint:" in listed.err
    assert telemock("profiles", "remove", "acme").code == 0


def test_a_wrong_one_is_not_added(telemock: Telemock, place: Path) -> None:
    (place / "draft.yaml").write_text(OWN.replace("observe", "observ"))
    done = telemock("profiles", "add", "draft.yaml")
    assert (done.code, done.out) == (1, "")
    assert "draft.yaml: rules[0].action: 'observ' is not an action" in done.err
    assert "hint: did you mean observe?" in done.err
    assert not (place / ".telemock/profiles").exists()


def test_where_a_setting_leaves_it_out_that_is_said(
    telemock: Telemock, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "draft.yaml").write_text(OWN)
    monkeypatch.setenv("TELEMOCK_PROFILES", "grafana")
    done = telemock("profiles", "add", "draft.yaml")
    assert "note: TELEMOCK_PROFILES is 'grafana', so it is not in use" in done.out
    monkeypatch.setenv("TELEMOCK_PROFILES", "acme")
    assert "note" not in telemock("profiles", "add", "draft.yaml", "--force").out


def test_an_added_file_that_somebody_broke_hides_nothing(telemock: Telemock, place: Path) -> None:
    (place / "draft.yaml").write_text(OWN)
    telemock("profiles", "add", "draft.yaml")
    (place / ".telemock/profiles/acme.yaml").write_text("id: [")
    done = telemock("profiles", "list")
    assert done.code == 0 and "grafana" in done.out and "acme.yaml" in done.err


def test_an_added_one_takes_a_built_in_ones_place(telemock: Telemock, place: Path) -> None:
    (place / "cribl.yaml").write_text(OWN.replace("acme", "cribl", 1))
    telemock("profiles", "add", "cribl.yaml")
    (row,) = [r for r in telemock("profiles", "list").out.splitlines() if r.startswith("cribl ")]
    assert row.split()[:3] == ["cribl", "added", "Acme"]
    assert telemock("profiles", "show", "cribl").out == OWN.replace("acme", "cribl", 1)
    assert telemock("rules", "explain", "https://a.test/").code == 0


def test_an_app_that_runs_takes_what_is_added(telemock: Telemock, place: Path, app: App) -> None:
    (place / "draft.yaml").write_text(OWN)
    telemock("profiles", "add", "draft.yaml")
    wait_for(lambda: "acme" in {p.id for p in app.profiles()})
    telemock("profiles", "remove", "acme")
    wait_for(lambda: {p.id for p in app.profiles()} == {"cribl"})
