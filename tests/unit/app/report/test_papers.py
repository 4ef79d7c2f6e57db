"""A profile's papers say what its file says."""

from pathlib import Path

import yaml

from app.profiles.compile import load
from app.profiles.read import BUILT_IN, built_in
from app.profiles.watch import ProfileSet
from app.report.papers import ASKED, ORIGINS, Papers, known_papers, papers_of


def test_papers_hold_licence_evidence_and_what_is_not_known() -> None:
    (paper,) = papers_of(load(["cribl"]).written)
    written = yaml.safe_load((BUILT_IN / "cribl.yaml").read_text())
    assert (paper.profile, paper.title) == (written["id"], written["title"])
    assert paper.licence == written["licence"]["class"]
    assert paper.licence_note == " ".join(written["licence"]["note"].split())
    assert [(e.source, e.verified) for e in paper.evidence] == [
        (e["source"], str(e["verified"])) for e in written["evidence"]
    ]
    assert len(paper.unknown) == len(written["unknown"])
    assert ("any.lic", "mask") in [(s.field, s.how) for s in paper.sensitive]
    (page,) = written["documented"]
    assert [(d.words, d.fields) for d in paper.documented] == [
        (of["words"], of.get("fields", [])) for of in page["sends"]
    ]
    assert {(d.source, d.verified) for d in paper.documented} == {
        (page["source"], str(page["verified"]))
    }
    assert paper.hosts == ["cdn.cribl.io"]


def test_what_a_file_does_not_state_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "acme.yaml"
    text = "id: acme\ntitle: Acme\nhosts: [a.test]\nrules: [{id: a, action: observe}]\n"
    file.write_text(text)
    (paper,) = papers_of(load([file]).written)
    assert paper.asked == [*ASKED.items()] and (paper.licence, paper.licence_note) == ("", "")
    file.write_text(text + "licence: {class: none, note: no clause}\nevidence: []\n")
    (paper,) = papers_of(load([file]).written)
    assert [name for name, _ in paper.asked] == ["evidence"]


def test_profiles_that_ship_state_it_all() -> None:
    assert [p.profile for p in papers_of(load(built_in()).written) if p.asked] == []


def test_a_switch_is_told_in_words() -> None:
    (paper,) = papers_of(load(["vllm"]).written)
    assert paper.opt_out == [
        "VLLM_NO_USAGE_STATS=1", "DO_NOT_TRACK=1", "a file ~/.config/vllm/do_not_track",
    ]  # fmt: skip


def test_a_paper_tells_which_of_the_profiles_of_one_id_it_is_of(tmp_path: Path) -> None:
    added = tmp_path / "profiles"
    added.mkdir()
    text = "id: {}\ntitle: Own\nhosts: [a.test]\nrules: [{{id: a, action: observe}}]\n"
    (added / "acme.yaml").write_text(text.format("acme"))

    def told(papers: Papers, *ids: str) -> list[tuple[str, str]]:
        return [(one.origin, one.title) for one in map(papers.find, ids) if one]

    def after() -> Papers:
        return known_papers(["cribl"], added)[0]

    assert told(after(), "cribl", "acme", "grafana") == [
        ("in use", "Cribl Stream and Edge"), ("added", "Own"), ("shipped", "Grafana")
    ]  # fmt: skip
    (own := tmp_path / "grafana.yaml").write_text(text.format("grafana"))
    meanwhile = Papers(ProfileSet([own], added=added).known)
    assert told(meanwhile, "grafana") == [("in use", "Own")]
    assert told(after(), "grafana") == [("kept", "Own")]
    assert {one.origin for one in after().in_use} == {"in use"}
    assert "in use" not in ORIGINS
