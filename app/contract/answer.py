"""Renders a rule's static answer, the same in the mock and in the sidecar."""

from http import HTTPStatus
from typing import NamedTuple

from app.contract.record import Pair
from app.contract.rules import Answer

_NO_BODY = frozenset({204, 304})


class Rendered(NamedTuple):
    """`headers` are complete: with content-length, without a date."""

    status: int
    reason: str
    headers: list[Pair]
    body: bytes


def render(answer: Answer, method: str = "GET", body: bytes | None = None) -> Rendered:
    """The static form of the answer, or with another `body` (a rendered template).

    HEAD gets GET's headers without a body; 1xx, 204 and 304 have neither length nor body.
    """
    content = answer.body if body is None else body
    headers = list(answer.headers)
    bodiless = answer.status < 200 or answer.status in _NO_BODY
    if not bodiless:
        headers.append(("content-length", str(len(content))))
    return Rendered(
        answer.status,
        phrase(answer.status),
        headers,
        b"" if bodiless or method == "HEAD" else content,
    )


def phrase(status: int) -> str:
    """The standard reason phrase of a status, "" for none."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


# A `block` rule's answer, and the answers to requests that this proxy cannot judge or carry.
BLOCKED = Answer(
    status=403,
    headers=(("content-type", "text/plain; charset=utf-8"),),
    body=b"blocked by telemock\n",
)
UNJUDGED = Answer(
    status=400,
    headers=(("content-type", "text/plain; charset=utf-8"), ("connection", "close")),
    body=b"telemock: no rule can judge this request\n",
)
NO_TRAILERS = Answer(
    status=501,
    headers=(("content-type", "text/plain; charset=utf-8"), ("connection", "close")),
    body=b"telemock: requests with trailers are not supported\n",
)
