"""app/client/running.py: an app that runs is found, and nothing else; `get` is never an error."""

from pathlib import Path

import pytest

from app.client.running import get, running_app
from app.contract import names
from tests.serving import serving


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"url": "http://127.0.0.1:1", "pid": 1}', "x"])
def test_no_app_runs_where_the_file_says_nothing_true(tmp_path: Path, text: str) -> None:
    (tmp_path / names.FILE_SERVER).write_text(text)
    assert running_app(tmp_path) == ""


def test_get_is_the_body_of_an_answer_of_200(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        url = f"http://127.0.0.1:{served.port}"
        assert get(url + "/health") and get(url + "/nothing-here") == b""
    assert get(url + "/health") == b""  # nobody listens any more
