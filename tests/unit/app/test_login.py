"""app/login.py: a login proxy that only itself can be."""

import pytest

from app.contract.settings import SettingError
from app.settings import load

LOGIN = {"TELEMOCK_CLUSTER": "1", "TELEMOCK_LOGIN_HEADER": "X-User"}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (LOGIN, "anybody could send it"),
        ({**LOGIN, "TELEMOCK_CLUSTER": "0", "TELEMOCK_LOGIN_SECRET": "s" * 16}, "no cluster"),
        ({**LOGIN, "TELEMOCK_LOGIN_SECRET": "short-one"}, "9 characters"),
        ({**LOGIN, "TELEMOCK_LOGIN_SECRET": "\u00e9" * 20}, "of ASCII"),
        ({**LOGIN, "TELEMOCK_LOGIN_HEADER": "Cookie"}, "TELEMOCK_LOGIN_HEADER"),
        ({**LOGIN, "TELEMOCK_LOGIN_HEADER": "Telemock-Login-Secret"}, "TELEMOCK_LOGIN_HEADER"),
        ({**LOGIN, "TELEMOCK_LOGIN_HEADER": "a b"}, "TELEMOCK_LOGIN_HEADER"),
        ({**LOGIN, "TELEMOCK_LOGIN_FROM": "10.0.0.1/8"}, "TELEMOCK_LOGIN_FROM"),
        ({**LOGIN, "TELEMOCK_LOGIN_FROM": "everybody"}, "TELEMOCK_LOGIN_FROM"),
    ],
)
def test_a_login_proxy_that_everybody_could_be_is_refused(given: dict[str, str], says: str) -> None:
    with pytest.raises(SettingError, match=says) as refused:
        load(given)
    assert "short-one" not in str(refused.value) and "\u00e9" not in str(refused.value)


def test_a_login_proxy() -> None:
    found = load({**LOGIN, "TELEMOCK_LOGIN_SECRET": "s" * 16, "TELEMOCK_LOGIN_FROM": "10.0.0.0/8"})
    assert (found.login_header, len(found.login_from)) == ("x-user", 1)
    assert "s" * 16 not in repr(found)
