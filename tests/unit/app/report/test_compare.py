"""Differences of two sides, and how they are printed."""

import re
from pathlib import Path

import app
from app.report.compare import (
    Comparison,
    Difference,
    FieldOf,
    Measured,
    Side,
    compare,
    markdown,
    share,
    summary,
    text,
)

E = ("h", "GET", "/r")


def side(
    name: str,
    fields: dict[tuple[str, str, str], dict[str, FieldOf]],
    volumes: dict[tuple[str, str, str], Measured] | None = None,
    **given: str,
) -> Side:
    return Side(name=name, title=name, filter="", fields=fields, volumes=volumes, **given)


def field(count: int, type: str = "string", shape: str = "", requests: int = 10) -> FieldOf:
    return FieldOf((type,), (shape,) if shape else (), count, requests)


def test_every_kind_of_difference() -> None:
    one = side("1", {
        E: {
            "same": field(10), "nearly": field(1000, requests=1000), "gone": field(5),
            "typed": field(10), "shaped": field(10), "rarer": field(10),
        },
        ("h", "GET", "/old"): {"old": field(1)},
    })  # fmt: skip
    other = side("2", {
        E: {
            "same": field(10), "nearly": field(960, requests=1000), "added": field(10),
            "typed": field(10, "integer"), "shaped": field(10, shape="guid"), "rarer": field(2),
        },
        ("h", "GET", "/new"): {"new": field(1), "new2": field(1)},
        ("h2", "PUT", "/x"): {},
    })  # fmt: skip
    found = compare("p", one, other)
    assert found.same == 2
    assert [(d.kind, d.host, d.endpoint, d.what, d.before, d.after) for d in found.differences] == [
        ("added", "h2", "", "(the whole host)", "-", "1 endpoint"),
        ("added", "h", "GET /new", "(the whole endpoint)", "-", "2 fields"),
        ("gone", "h", "GET /old", "(the whole endpoint)", "1 field", "-"),
        ("added", "h", "GET /r", "added", "-", "string, in 100 % of requests"),
        ("gone", "h", "GET /r", "gone", "string, in 50 % of requests", "-"),
        ("changed", "h", "GET /r", "rarer", "in 100 % of requests", "in 20 % of requests"),
        ("changed", "h", "GET /r", "shaped", "string, in 100 % of requests",
         "string (guid), in 100 % of requests"),
        ("changed", "h", "GET /r", "typed", "string, in 100 % of requests",
         "integer, in 100 % of requests"),
        ("added", "h2", "PUT /x", "(the whole endpoint)", "-", "0 fields"),
    ]  # fmt: skip
    turned = {"added": "gone", "gone": "added", "changed": "changed"}
    mirrored = [
        Difference(turned[d.kind], d.host, d.method, d.route, d.what, d.after, d.before)
        for d in compare("p", other, one).differences
    ]
    assert sorted(mirrored) == sorted(found.differences)


def test_an_endpoint_whose_fields_one_side_does_not_know_has_no_differences() -> None:
    """A passed request counts and is not read: that its fields are gone would be made up."""
    one, other = side("1", {E: {"a": field(1)}}), side("2", {}, {E: Measured(3)})
    assert compare("p", one, other).differences == []


def test_volumes_of_both_sides() -> None:
    before, after = Measured(121, 30, 60.0), Measured(1, 30, 0.0)
    found = compare(
        "p", side("1", {}, {E: before}), side("2", {}, {E: after, ("i", "", ""): after})
    )
    assert [(v.host, v.endpoint, v.before, v.after) for v in found.volumes] == [
        ("h", "GET /r", before, after), ("i", "", Measured(), after),
    ]  # fmt: skip


def comparison() -> Comparison:
    hostile = "<b>|\x1b[2J[x](//e.test)"
    one = side("1<i>", {E: {"a": field(1)}}, {E: Measured(2, 3, 0.0)}, note=f"read of {hostile}")
    return compare("p", one, side("2", {E: {hostile: field(1)}}, {E: Measured(5, 3, 1.5)}))


def test_printed_for_a_ticket_and_a_terminal_it_stays_text() -> None:
    found = comparison()
    assert (
        summary(found)
        == "1 added, 1 gone, 0 changed; 0 fields are the same, within 5 % of requests"
    )
    said = markdown(found)
    assert said.startswith("## p: from 1&lt;i&gt; to 2\n\n| change | host |")
    assert "| added | h | GET /r |" in said and "| gone | h | GET /r | a |" in said
    assert "| h | GET /r | 2 | 5 | 3 | 3 | - | 1.5 |" in said
    assert "- 1 added, 1 gone, 0 changed" in said and "read of" in said
    for bad in ("<b>", "[x](", "\x1b"):
        assert bad not in said
    shown = text(found)
    assert shown.startswith("p: from 1<i> to 2\n  1 added, 1 gone, 0 changed")
    assert "\x1b" not in shown and "read of" in shown


def test_no_difference_is_said() -> None:
    same = compare("p", side("1", {E: {"a": field(1)}}), side("2", {E: {"a": field(1)}}))
    assert "- no difference of" in markdown(same)
    assert "0 added" in text(same)


def test_shares_are_never_rounded_to_nothing_or_all() -> None:
    assert [share(*of) for of in ((0, 5), (1, 1000), (999, 1000), (1, 2), (5, 5), (1, 0))] == [
        "0 %", "under 1 %", "99 %", "50 %", "100 %", "0 %",
    ]  # fmt: skip


def test_no_share_is_printed_by_a_format_that_rounds_to_none_or_all() -> None:
    """`share` is there for it; a detector's confidence is no share."""
    sources = [p for p in Path(app.__file__).parent.rglob("*") if p.suffix in (".py", ".html")]
    found = [
        line
        for source in sources
        for line in source.read_text(encoding="utf-8").splitlines()
        if re.search(r":\.\d%|format\(.*%%", line)
    ]
    assert found == ['        return f"{self.by}, {self.confidence:.0%}" if self.by else ""']
