"""Values of options are read strictly."""

import pytest
import typer

from app.cli.options import time_of


def test_a_time_that_is_none_is_an_error_of_its_option() -> None:
    assert time_of("1970-01-02") == 86_400 * 10**9
    with pytest.raises(typer.BadParameter, match="'yesterday' is not a time\n\nhint: write 24h"):
        time_of("yesterday")
