import json

import pytest

from app.report.trace_link import linked

TRACE = "0af7651916cd43dd8448eb211c80319c"
JAEGER = "https://jaeger.test/trace/{trace_id}"


def test_a_record_gets_its_link() -> None:
    record = json.dumps({"boot": "b", "trace_id": TRACE, "trace_url": "https://evil.test"}).encode()
    assert json.loads(linked(record, JAEGER)) == {
        "boot": "b", "trace_id": TRACE, "trace_url": f"https://jaeger.test/trace/{TRACE}",
    }  # fmt: skip


def test_every_place_of_the_id_is_filled_and_other_braces_stay() -> None:
    template = 'https://grafana.test/explore?panes={"a":{"query":"{trace_id}"}}&t={trace_id}'
    record = json.loads(linked(json.dumps({"trace_id": TRACE}).encode(), template))
    assert record["trace_url"] == template.replace("{trace_id}", TRACE)


@pytest.mark.parametrize("trace_id", ["", TRACE[:-1], TRACE.upper(), "../../x", TRACE + "\n"])
def test_what_is_no_trace_id_makes_no_link(trace_id: str) -> None:
    record = json.dumps({"trace_id": trace_id}).encode()
    assert linked(record, JAEGER) == record


def test_without_a_template_nothing_changes() -> None:
    record = json.dumps({"trace_id": TRACE}).encode()
    assert linked(record, "") == record
    assert linked(b"{}", JAEGER) == b"{}"
