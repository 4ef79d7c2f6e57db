import pytest

from app.contract.account import ACCOUNTS, Account, decode, encode

BOOT = "ab" * 16


def test_accounts_come_back_in_a_header_of_ascii() -> None:
    accounts = [
        Account(boot=BOOT, numbered=7, lost={"spool_full": 2}),
        Account(boot="cd" * 16, numbered=9, ended=True),
    ]
    value = encode(accounts)
    assert value.isascii() and "\n" not in value and decode(value) == accounts
    assert len(encode([Account(boot=BOOT, numbered=2**53, lost={"spool_full": 2**53})])) < 200


def test_what_a_newer_sidecar_adds_is_passed_over() -> None:
    newer = f'[{{"boot":"{BOOT}","numbered":7,"of_tomorrow":[1],"lost":{{"a_new_reason":1}}}}]'
    assert decode(newer) == [Account(boot=BOOT, numbered=7, lost={"a_new_reason": 1})]


@pytest.mark.parametrize(
    "value",
    [
        "", "{}", "null", "[1]", "[" * 5000, '"\udcff"', "é",
        f'[{{"boot":"{BOOT}"}}]',
        f'[{{"boot":"{BOOT}","numbered":-1}}]',
        f'[{{"boot":"{BOOT}","numbered":{2**53 + 1}}}]',
        f'[{{"boot":"{BOOT}","numbered":1,"lost":{{"x":-1}}}}]',
        '[{"boot":"../../etc","numbered":1}]',
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_nothing(value: str) -> None:
    assert decode(value) == []


def test_there_are_so_many_at_most() -> None:
    account = Account(boot=BOOT, numbered=1)
    assert len(decode(encode([account] * 99))) == ACCOUNTS
