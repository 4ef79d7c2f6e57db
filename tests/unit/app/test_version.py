from app.version import VERSION


def test_it_is_a_version() -> None:
    assert VERSION[0].isdigit()
