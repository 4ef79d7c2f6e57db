"""app/contract/masking/naming.py: names that stand as values."""

import pytest

from app.contract.masking.naming import groups, named


def said(fields: list[tuple[str, str]]) -> dict[int, str | None]:
    names, values = [n for n, _ in fields], [v for _, v in fields]
    return dict(named(groups(names), values.__getitem__, {"lic": "mask", "guid": "token"}.get))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ([("name", "lic"), ("value", "x")], {1: "mask"}),
        ([("value", "x"), ("a", "1"), ("Key", "guid")], {0: "token"}),
        ([("f[0][key]", "a"), ("f[0][val]", "1"), ("f[1][key]", "lic"), ("f[1][val]", "x")],
         {3: "mask"}),
        ([("p.name", "lic"), ("q.value", "x")], {}),
        ([("@name", "lic"), ("@value", "x")], {1: "mask"}),
        ([("name", "a"), ("value", "1"), ("name", "lic"), ("value", "x")], {3: "mask"}),
        # As many values as names belong to them in order; else one sensitive name is that of all.
        ([("name", "a"), ("name", "lic"), ("value", "x"), ("value", "y"), ("value", "z")],
         {2: "mask", 3: "mask", 4: "mask"}),
        ([("name", "lic")], {}),
        ([("value", "x")], {}),
        ([("name", "other"), ("value", "x")], {}),
        ([("filename", "lic"), ("value", "x")], {}),
        ([("name", "lic" * 200), ("value", "x")], {}),
    ],
)  # fmt: skip
def test_the_value_beside_a_name_is_the_name_s(
    fields: list[tuple[str, str]], found: dict[int, str]
) -> None:
    assert said(fields) == found
