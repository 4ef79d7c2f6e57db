"""The HTTP session below the SDK's exporters: it closes their gaps, and remembers why the last
request failed.

The exporters would take a redirect or a web page for success, read an answer of any size, ignore
rejected items, and tell the reason of a failure only to their log. Made by `app.otel.pipeline`, one
for each signal.
"""

import ssl
import time
import warnings
from pathlib import Path
from typing import Any

import urllib3
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

with warnings.catch_warnings():
    # requests warns that its detector of encodings is missing: `addon.mitm.imports` removes it.
    warnings.simplefilter("ignore")
    import requests

ANSWER_CAP = 64 * 1024  # bytes of an answer; a longer one closes the connection
_SHORTEST_S = 0.05  # timeout of a request that begins at its deadline
# requests raises these for a bad proxy URL: the endpoint's URL was checked.
_NO_PROXY = (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)


class Refused(Exception):
    """Stops the SDK's retries: it retries only after connection errors and some statuses."""


class Session(requests.Session):
    def __init__(self) -> None:
        super().__init__()
        self._trusted = _trusted()
        self._last_until: float | None = None
        self.trouble = ""  # reason of the last request's failure, for people; nothing secret
        self.rejected = 0  # items that the endpoint rejected in a request that it accepted

    def end(self, until: float) -> None:
        """From now on, makes each request the last try, to end by `until` (of
        `time.monotonic()`)."""
        self._last_until = until

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        timeout, last_until = options["timeout"], self._last_until
        if last_until is not None:
            timeout = min(timeout, last_until - time.monotonic())
        # Set for each request: else REQUESTS_CA_BUNDLE wins over OTEL_EXPORTER_OTLP_CERTIFICATE.
        options["verify"] = self.verify if isinstance(self.verify, str) else self._trusted
        options |= {"timeout": max(timeout, _SHORTEST_S), "stream": True}
        self.rejected = 0
        try:
            response = super().send(request, **options)
            with response:
                body = response.raw.read(ANSWER_CAP, decode_content=True)
        except Exception as e:
            self.trouble = _sentence(e)
            if last_until is not None:
                raise Refused from None
            raise
        self.trouble = self._judged(response, body)
        if self.trouble and (response.status_code < 400 or last_until is not None):
            raise Refused
        return response

    def _judged(self, response: requests.Response, body: bytes) -> str:
        if not 200 <= response.status_code < 300:
            return f"it answered {response.status_code}"
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "text/html":
            return "it answered with a web page"
        if kind == "application/x-protobuf":
            try:
                # The responses of the three signals have the same format.
                answer = ExportTraceServiceResponse.FromString(body)
            except DecodeError:
                return "it answered with something that is not OTLP"
            self.rejected = max(answer.partial_success.rejected_spans, 0)
        return ""


def _trusted() -> str | bool:
    """The system's file or directory of certificates; certifi's where a slim image has none."""
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        return paths.cafile
    return paths.capath if paths.capath and any(Path(paths.capath).iterdir()) else True


def _sentence(error: BaseException) -> str:
    """Describes the error without requests' own text, which holds the URL with its query."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, _NO_PROXY):
        return "its proxy is not one that begins with http://"
    if isinstance(error, requests.exceptions.Timeout | urllib3.exceptions.TimeoutError):
        return "no answer in time"
    cause: BaseException | None = error
    said = ""
    while cause is not None:  # the system's error is the innermost one
        if isinstance(cause, OSError) and cause.strerror:
            said = cause.strerror
        cause = cause.__context__
    if said:
        return said
    if isinstance(error, requests.exceptions.ConnectionError | urllib3.exceptions.HTTPError):
        return "the connection broke, or its other end does not speak HTTP"
    return type(error).__name__
