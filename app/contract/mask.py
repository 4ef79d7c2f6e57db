"""Masking before the first write: what a profile calls sensitive leaves no trace in a record.

Called by the sidecar's shipper and by the mock with every record, before it is logged, spooled,
stored or sent, and by both halves for operational log lines and span attributes.
"""

from app.contract.record import CaptureRecord
from app.contract.rules import RuleSet

MASK = "***"


class Masker:
    """Masks records by the sensitive fields of `rules`; `key` makes tokens, without it the value is
    masked instead. Values found under a sensitive name are removed wherever else they stand in the
    record too, raw, URL-, base64- or hex-encoded."""

    def __init__(self, rules: RuleSet, key: bytes | None = None, key_id: str = "") -> None:
        raise NotImplementedError

    def record(self, record: CaptureRecord) -> CaptureRecord:
        """The record without sensitive values, changed in place and returned."""
        raise NotImplementedError

    def line(self, text: str) -> str:
        """An operational log line without values that stand under a sensitive name in it."""
        raise NotImplementedError

    def url(self, profile: str, url: str) -> str:
        """A URL for spans and log lines: query values stand only for the profile's safe list."""
        raise NotImplementedError
