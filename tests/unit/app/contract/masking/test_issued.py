import random
import string

import pytest

from app.contract.masking.issued import ISSUED, by_lot, product_key

LETTERS = string.ascii_letters + string.digits
# What people and programs write behind a prefix, and never by lot.
WRITTEN = [
    "my_ThisIsTheVeryLongNameOfAClassV2Builder", "acme-someVeryLongNameInCamelCaseOfAThing12",
    "build-" + "0123456789abcdef" * 3, "sha256-" + "x7Qb2Lk9Zt4Rv1Wm" * 2,
    "pk_live_x7Qb2Lk9Zt4Rv1Wmx7Qb2Lk9",
    "node_" + "0123456789" * 4, "a_" + "ABCDEFGH" * 5,
]  # fmt: skip


def test_nearly_every_word_by_lot_is_known_and_no_written_one() -> None:
    numbers = random.Random(1)
    drawn = ["acme_" + "".join(numbers.choices(LETTERS, k=40)) for _ in range(2000)]
    assert sum(map(by_lot, drawn)) > 1900
    assert [word for word in WRITTEN if by_lot(word)] == []


@pytest.mark.parametrize("base", [16, 36])
def test_sums_are_none(base: int) -> None:
    numbers = random.Random(base)
    sums = ["app-" + "".join(numbers.choices(LETTERS.lower()[-base:], k=40)) for _ in range(500)]
    assert not any(map(by_lot, sums))


def test_url_safe_base64_of_a_text_is_read_and_not_taken_for_a_token() -> None:
    assert not by_lot("eyJ2IjoiNC4xNi4xIn0_eyJ2IjoiNC4xNi4xIn0eyJ2IjoiNC4xNi4xIn0")


def test_product_keys() -> None:
    assert product_key("C4N4R-7890A-B1C2D-E3F4G-H5J6K")
    assert not product_key("HELLO-WORLD-AGAIN-THERE-FOLKS") and not product_key("12345-67890-12345")


def test_the_longest_rows_are_looked_for_by_a_part_of_them() -> None:
    assert all(row.hint for row in ISSUED if len(row.pattern) > 600)
