"""One signal's requests to its OTLP endpoint, over a connection that is kept.

Made by `app.otel.sender`. An endpoint that is busy or away is asked again, as OTLP wants it; what
it says is read to a limit, and neither a redirect nor somebody's web page is taken for success.
"""

import gzip
import math
import random
import threading
import time
import zlib
from contextlib import suppress
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import NamedTuple

from app.otel import wire
from app.otel.connect import Way
from app.otel.settings import Target

ANSWER_CAP = 64 * 1024  # bytes; what an endpoint says beyond that closes the connection
TRIES = 6
_BUSY = frozenset((429, 502, 503, 504))  # statuses to try again after, says OTLP
_SHORTEST_S = 0.05  # the time of a request that is begun at its deadline


class Outcome(NamedTuple):
    trouble: str = ""  # why nothing of it was taken, for people, nothing secret; "" when it was
    rejected: int = 0  # items that the endpoint took the request of, but not them
    again: bool = False  # whether another try may help
    after_s: float | None = None  # when the endpoint wants it


class Session:
    """`export` from one thread."""

    def __init__(self, target: Target) -> None:
        self._timeout_s = target.timeout_s
        self._compression = target.compression
        self._way = Way(target)
        if self._compression != "none":
            self._way.headers["content-encoding"] = self._compression
        self._connection: HTTPConnection | None = None
        self._last_until: float | None = None
        self._ending = threading.Event()

    def end(self, until: float) -> None:
        """Ends a wait for another try: from now on there is one more, which ends by then (of
        `time.monotonic()`). From any thread."""
        self._last_until = until
        self._ending.set()

    def export(self, body: bytes) -> Outcome:
        """With all tries within the target's timeout."""
        body = self._compressed(body)
        deadline = time.monotonic() + self._timeout_s
        tried = 0
        while True:
            last_until = self._last_until
            outcome = self._try(body, deadline if last_until is None else last_until)
            tried += 1
            if not outcome.again or last_until is not None:
                return outcome
            wait = outcome.after_s
            if wait is None:  # seconds: 1, 2, 4 …, and not all sidecars at once
                wait = 2 ** (tried - 1) * random.uniform(0.8, 1.2)  # noqa: S311
            late = tried == TRIES or time.monotonic() + wait > deadline
            if late and not self._ending.is_set():
                return outcome
            self._ending.wait(wait)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _try(self, body: bytes, until: float) -> Outcome:
        try:
            kept = self._connection is not None
            try:
                return self._request(body, until)
            except (OSError, HTTPException) as e:
                self.close()
                if not kept or isinstance(e, TimeoutError):
                    raise
            return self._request(body, until)  # the endpoint had closed the kept connection
        except (OSError, HTTPException) as e:
            self.close()
            return Outcome(_sentence(e), again=True)
        except BaseException:
            self.close()
            raise

    def _request(self, body: bytes, until: float) -> Outcome:
        if self._connection is None:
            self._connection = self._way.connect(_left(until))
        connection = self._connection
        connection.sock.settimeout(_left(until))
        with suppress(ConnectionError):  # it may have answered before it read all, to refuse it
            connection.request("POST", self._way.target, body, self._way.headers)
        response = connection.getresponse()
        answer = response.read(ANSWER_CAP)
        if response.will_close or not response.isclosed():
            self.close()
        return _judged(response, answer)

    def _compressed(self, body: bytes) -> bytes:
        if self._compression == "gzip":
            return gzip.compress(body)
        return zlib.compress(body) if self._compression == "deflate" else body


def _left(until: float) -> float:
    return max(until - time.monotonic(), _SHORTEST_S)


def _judged(response: HTTPResponse, body: bytes) -> Outcome:
    status = response.status
    if not 200 <= status < 300:
        after_s = _after_s(response.getheader("retry-after", ""))
        return Outcome(f"it answered {status}", again=status in _BUSY, after_s=after_s)
    kind = response.getheader("content-type", "").partition(";")[0].strip().lower()
    if kind == "text/html":
        return Outcome("it answered with a web page")
    try:
        return Outcome(rejected=_rejected(body) if kind == "application/x-protobuf" else 0)
    except ValueError:
        return Outcome("it answered with something that is not OTLP")


def _rejected(body: bytes) -> int:
    """How many items, says the answer's `partial_success`: it has one form for all signals."""
    rejected = 0
    for field, value in wire.fields(body):
        if field == 1 and isinstance(value, bytes):
            for inner, number in wire.fields(value):
                if inner == 1 and isinstance(number, int):
                    rejected = number
    return rejected if rejected < 1 << 63 else 0  # below zero


def _after_s(value: str) -> float | None:
    """Of a Retry-After: seconds or a date."""
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(value).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None


def _sentence(error: BaseException) -> str:
    """Without what the error itself says, unless it is the system: there may be a URL in it."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return "the connection broke, or its other end does not speak HTTP"
