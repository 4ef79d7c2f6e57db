"""The bounds of masking and of the decoding that it does: a record that hits one keeps less, never
more. The masker counts them; docs/masking.md prints them.
"""

from collections.abc import Callable

from app.contract.record import BODY_CAP

DECODED = 8 * BODY_CAP  # bytes that the encoded values of one record may stand for
OPENED = 8_192  # encoded values of one record that are opened
DEPTH = 64  # levels of a document that are read; what lies deeper is masked
LAYER = 8  # of DEPTH, that one encoding or format takes
VALUES = 8192  # values of one text that stand under names, each some 15 µs

# id -> what is bounded, and what becomes of the rest.
BOUNDS = {
    "depth": f"{DEPTH} levels of JSON or XML, of which an encoding or a format in another takes "
    f"{LAYER}; what lies deeper is masked whole",
    "decoded": f"{DECODED >> 20} MiB that the encoded values of a record stand for; the next are "
    "masked whole",
    "opened": f"{OPENED:,} encoded values of a record; the next are masked whole",
    "parts": "65,536 cells of CSV, elements, fields or parts of one value; a value with more is "
    "masked whole, or read as plain text",
    "values": f"{VALUES:,} values of one text that stand under names; the rest of it is masked",
    "traces": "values of a record that can be looked for elsewhere in 0.1 s; if there are more, "
    "all its texts are masked whole and its bodies withheld",
}

# Reasons for which a body or a value is withheld: ids in REASONS.
WITHHELD = ("encoding", "unmaskable", "nameless", "bounds", "too_large")

# Called with a metric's name and a bound or reason.
Count = Callable[[str, str], None]
HIT, KEPT_BACK, MASKED = "telemock.masking.bounds", "telemock.withheld", "telemock.masked"
BY_VALUE = "value"  # of MASKED, where neither a name nor a detector called for it


def begin(count: Count) -> None:
    """Makes a series of each, as the first one would else be no increase."""
    for bound in BOUNDS:
        count(HIT, bound)
    for reason in WITHHELD:
        count(KEPT_BACK, reason)
    count(MASKED, BY_VALUE)
