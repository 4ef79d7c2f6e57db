"""Reads the answer to a batch: a receipt that accounts for every record, or the reason why it was
not taken.

Called by `addon.record.deliver`. Only a receipt deletes records from the spool, and a proxy, a
portal or a server of another kind may answer in the app's place.
"""

import msgspec

from addon.app_client.client import ApiAnswer, trouble_of
from app.contract.account import Receipt


class NotTaken(Exception):
    """The app did not take the batch; `outcome` is the metric's label, the text is for people."""

    def __init__(self, outcome: str, text: str, status: int = 0, again_s: float = 0) -> None:
        """`again_s`: the seconds that the app asked to be left alone."""
        super().__init__(text)
        self.outcome = outcome
        self.status = status
        self.again_s = again_s


def read(answer: ApiAnswer, sent: int) -> Receipt:
    """The receipt for this number of records. Raises NotTaken."""
    if answer.status != 200:
        raise _refusal(answer)
    try:
        receipt = msgspec.json.decode(answer.body, type=Receipt)
    except (ValueError, RecursionError):
        raise NotTaken("error", "what answered is not the app") from None
    told = receipt.stored + receipt.duplicates + len(receipt.refused)
    if told != sent:
        raise NotTaken("error", f"the app accounts for {told} of {sent} records")
    if not {one.line for one in receipt.refused} <= set(range(1, sent + 1)):
        raise NotTaken("error", "the app refuses records that were not sent")
    if len({one.line for one in receipt.refused}) < len(receipt.refused):
        raise NotTaken("error", "the app refuses a record twice")
    return receipt


def _refusal(answer: ApiAnswer) -> NotTaken:
    """The refusal, with the start of the app's answer."""
    status = answer.status
    outcome = trouble_of(status) or "error"
    said = answer.body[:200].decode("utf-8", "backslashreplace")
    text = f"the app answered {status} {said}".strip()
    return NotTaken(outcome, text, status, answer.seconds("retry-after"))
