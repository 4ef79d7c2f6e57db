from app.web.page import VIEWS
from tests.serving import Served


def test_every_view_is_there_and_none_is_in_the_api(served: Served) -> None:
    assert {served.bare.get(address).status_code for address in VIEWS} == {303}
    described = served.bare.get("/openapi.json").json()["paths"]
    assert not set(VIEWS) & set(described)
    assert "/api/v1/page/codes" in described


def test_the_mock_goes_before_the_page(served: Served) -> None:
    answer = served.bare.get("/", headers={"host": "cdn.cribl.io"})
    assert "content-security-policy" not in answer.headers
