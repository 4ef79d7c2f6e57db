"""A profile's papers say what its file says."""

import yaml

from app.profiles.compile import load
from app.profiles.read import BUILT_IN
from app.report.papers import papers_of


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
