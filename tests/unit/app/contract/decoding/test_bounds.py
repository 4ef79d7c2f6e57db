"""app/contract/decoding/bounds.py: bounds of one carrier."""

from app.contract.decoding import bounds


def test_the_bounds_admit_what_a_body_of_the_usual_size_holds() -> None:
    assert 1_000 < bounds.MOST < 1_000_000 and 8 <= bounds.DEPTH < 200
