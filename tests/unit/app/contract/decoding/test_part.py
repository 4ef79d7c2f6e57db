"""A part says where its value stands."""

from app.contract.decoding.part import Part


def test_a_part_is_where_its_value_stands() -> None:
    data = b"a=1&lic=abc"
    name, start, end = Part("lic", 8, 11)
    assert (name, data[start:end]) == ("lic", b"abc")
