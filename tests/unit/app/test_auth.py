import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.auth import mask_key, token
from tests.serving import serving


def test_token_is_made_once_and_readable_by_its_owner_only(tmp_path: Path) -> None:
    made = token(tmp_path)
    assert len(made) >= 43
    assert token(tmp_path) == made
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["token"]


def test_processes_that_start_at_once_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(token, [tmp_path] * 32))) == 1


def test_an_empty_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "token").touch()
    assert len(token(tmp_path)) >= 43


def test_mask_key_of_another_length_is_refused(tmp_path: Path) -> None:
    assert len(mask_key(tmp_path)) == 32
    (tmp_path / "mask.key").write_bytes(b"short")
    with pytest.raises(ValueError, match=r"holds 5 bytes, expected 32\n\nhint: "):
        mask_key(tmp_path)


def test_every_api_route_asks_for_the_token(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        asked = 0
        for path, operations in served.app.openapi()["paths"].items():
            for method in operations:
                url = path.replace("{id}", "0123456789abcdef-1")
                answer = served.bare.request(method, url)
                if path.startswith("/api"):
                    asked += 1
                    assert answer.status_code == 401, path
                    assert answer.headers["www-authenticate"] == "Bearer"
                    assert answer.json()["hint"]
                    assert operations[method]["security"] == [{"HTTPBearer": []}]
                else:
                    assert answer.status_code == 200, path
        assert asked >= 7


@pytest.mark.parametrize(
    "shown", ["Bearer wrong", "Basic {token}", "Bearer", "Bearer \xff", "{token}"]
)
def test_another_token_is_refused(tmp_path: Path, shown: str) -> None:
    with serving(tmp_path) as served:
        value = shown.format(token=served.runtime.token).encode("latin-1")
        answer = served.bare.get("/api/v1/report", headers={b"authorization": value})
        assert answer.status_code == 401
        assert served.client.get("/api/v1/report").status_code == 200
