import pytest

from addon.app_client.client import ApiAnswer
from addon.record.receipt import NotTaken, read
from app.contract.account import Receipt, RefusedRecord


def test_a_receipt_that_accounts_for_all() -> None:
    body = b'{"stored":1,"duplicates":1,"refused":[{"line":2,"reason":"no","id":"x"}],"new":1}'
    assert read(ApiAnswer(200, {}, body), 3) == Receipt(1, 1, [RefusedRecord(2, "no", "x")])
    body = b'{"stored":0,"duplicates":0,"refused":[],"accounts":{"ab":3}}'
    assert read(ApiAnswer(200, {}, body), 0).accounts == {"ab": 3}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        *(
            (body, "what answered is not the app")
            for body in (
                b"", b"<html>a captive portal</html>", b"{}", b"null", b'"ok"', b"[" * 100_000,
                b'{"stored":3,"duplicates":-1,"refused":[]}',
                b'{"stored":2.0,"duplicates":0,"refused":[]}',
                b'{"stored":2,"duplicates":0}',
                b'{"stored":2,"duplicates":0,"refused":[],"accounts":{"ab":-1}}',
            )
        ),
        (b'{"stored":1,"duplicates":0,"refused":[]}', "the app accounts for 1 of 2 records"),
        (b'{"stored":2,"duplicates":1,"refused":[]}', "the app accounts for 3 of 2 records"),
        (b'{"stored":0,"duplicates":0,"refused":[{"line":1,"reason":""},{"line":1,"reason":""}]}',
         "the app refuses a record twice"),
        (b'{"stored":1,"duplicates":0,"refused":[{"line":3,"reason":""}]}',
         "the app refuses records that were not sent"),
        (b'{"stored":1,"duplicates":0,"refused":[{"line":0,"reason":""}]}',
         "the app refuses records that were not sent"),
    ],
)  # fmt: skip
def test_what_does_not_account_for_the_batch_is_no_receipt(body: bytes, text: str) -> None:
    with pytest.raises(NotTaken) as caught:
        read(ApiAnswer(200, {}, body), 2)
    assert str(caught.value) == text
    assert (caught.value.outcome, caught.value.status) == ("error", 0)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(401, "unauthorized"), (403, "unauthorized"), (507, "full"), (404, "error"), (302, "error"),
     (204, "error"), (201, "error"), (500, "error")],
)  # fmt: skip
def test_only_200_is_one(status: int, outcome: str) -> None:
    whole = b'{"stored":2,"duplicates":0,"refused":[]}'
    with pytest.raises(NotTaken) as caught:
        read(ApiAnswer(status, {"retry-after": "7"}, whole), 2)
    failed = caught.value
    assert (failed.outcome, failed.status, failed.again_s) == (outcome, status, 7)
    assert str(failed) == f"the app answered {status} {whole.decode()}"


def test_what_it_said_is_cut() -> None:
    with pytest.raises(NotTaken) as caught:
        read(ApiAnswer(500, {}, b"\xff" + b"x" * 1000), 1)
    assert str(caught.value) == "the app answered 500 \\xff" + "x" * 199
