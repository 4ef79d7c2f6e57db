import pytest

from app.contract.masking.detection import detected
from app.contract.masking.detectors import DETECTORS, Detector, card, crc32, iban, jwt, private

ROWS = pytest.mark.parametrize("row", DETECTORS, ids=lambda row: row.id)


def found(text: str) -> list[str]:
    values: list[str] = []
    detected(text.encode(), lambda how, raw: values.append(raw.decode()) or b"***")  # type: ignore[func-returns-value]
    return values


def examples(row: Detector) -> list[str]:
    return [one.replace("|", "") for one in row.secrets]


@ROWS
def test_each_row_says_what_it_finds_and_what_not(row: Detector) -> None:
    assert row.secrets and row.others
    for secret in examples(row):
        assert secret in ("".join(found(secret)), "?sv=2024&" + "".join(found(secret))[1:]), secret
    for other in row.others:
        assert found(other) == [], other


@ROWS
def test_a_secret_is_found_in_any_text(row: Detector) -> None:
    for secret in examples(row):
        ends = "" if row.id.startswith("private key") else " b"
        for around in ("a {}", '{{"a":"{}"', "a=%20{}", "\\n{}", "({}", "x:{}", "a\n{}", "a,{}"):
            text = around.format(secret) + ends
            assert found(text) == found(secret) and found(secret), text


def test_no_id_stands_twice() -> None:
    assert len({row.id for row in DETECTORS}) == len(DETECTORS)


def test_checks() -> None:
    assert crc32("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")
    assert not crc32("ghp_zQWBuTSOoRi4A9spHcVY5ncnsDkxkJ0mLq18")
    assert jwt("eyJhbGciOiJub25lIn0.e30.") and not jwt("eyJ.e30.") and not jwt("eyJ2IjoxfQ.e30.")
    assert not private("LS0tLS1CRUdJTi") and not private("LS0tLS1CRUdJTiBQ!")
    assert card("4111 1111 1111 1111") and not card("4111 1111 1111 1112")
    assert not card("0000000000000000") and not card("9111111111111111")
    assert iban("DE89 3704 0044 0532 0130 00") and not iban("DE89") and not iban("ZZ89370400440532")
