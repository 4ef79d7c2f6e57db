from pathlib import Path

import pytest

from app.contract import settings as s

TABLE = (
    s.Setting("PORT", "8000", s.port, "set PORT to a free port", "a port from 0 to 65535"),
    s.Setting("DATA", ".telemock", Path, "where data lies"),
    s.Setting("LOG_LEVEL", "info", s.one_of("info", "debug"), "how much is logged"),
)


def test_unset_and_empty_variables_mean_the_default() -> None:
    expected = {"PORT": 8000, "DATA": Path(".telemock"), "LOG_LEVEL": "info"}
    assert s.read(TABLE, {}) == expected
    assert s.read(TABLE, {"PORT": "", "OTHER": "x"}) == expected


def test_a_variable_wins_over_the_default() -> None:
    assert s.read(TABLE, {"PORT": "0"})["PORT"] == 0


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PORT", "http", "PORT is 'http', expected a port from 0 to 65535"),
        ("PORT", "65536", "PORT is '65536', expected a port from 0 to 65535"),
        ("LOG_LEVEL", "loud", "LOG_LEVEL is 'loud', expected info or debug"),
    ],
)
def test_a_wrong_value_is_named_with_its_setting_and_a_remedy(
    name: str, value: str, expected: str
) -> None:
    with pytest.raises(s.SettingError) as error:
        s.read(TABLE, {name: value})
    first, blank, hint = str(error.value).split("\n")
    assert first == expected
    assert blank == "" and hint.startswith("hint: ")


@pytest.mark.parametrize(
    ("text", "size"), [("17", 17), ("4KiB", 4096), ("1.5MiB", 1572864), ("1GiB", 1 << 30)]
)
def test_size(text: str, size: int) -> None:
    assert s.size(text) == size


@pytest.mark.parametrize("text", ["", "x", "4KB", "KiB", "-1", "-1MiB", "infMiB", "nanGiB", "²"])
def test_size_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="bytes, such as"):
        s.size(text)


def test_flag() -> None:
    assert [s.flag(v) for v in ("1", "true", "YES", "on")] == [True] * 4
    assert [s.flag(v) for v in ("0", "False", "no", "off", "")] == [False] * 5
    with pytest.raises(ValueError, match="1 or 0"):
        s.flag("maybe")


def test_resolve() -> None:
    assert s.resolve("cdn.cribl.io:443=127.0.0.1:9, B.example:80=[::1]:7") == {
        ("cdn.cribl.io", 443): ("127.0.0.1", 9),
        ("b.example", 80): ("::1", 7),
    }
    assert s.resolve("") == {}


@pytest.mark.parametrize("text", ["a", "a:1", "a:1=b", ":1=b:1", "a:1=:1", "a:1=b:1;c:1=d:1"])
def test_resolve_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="HOST:PORT=ADDRESS:PORT"):
        s.resolve(text)


@pytest.mark.parametrize("text", ["a:99999=b:1", "a:1=b:-1", "a:²=b:1", "a:x=b:1", "a:1=b:x"])
def test_resolve_refuses_numbers_that_are_no_ports(text: str) -> None:
    with pytest.raises(ValueError, match="a port from 0 to 65535"):
        s.resolve(text)


def test_a_list_has_each_once() -> None:
    assert s.listed(" a, b,,a , ") == ("a", "b")
    assert s.listed("") == ()
    assert s.some("a") == ("a",)
    with pytest.raises(ValueError):
        s.some(" ,")
