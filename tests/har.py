"""A strict reader of HAR 1.2: every mandatory member with its type, and no other that the format
does not know but names with an underscore.

Written from http://www.softwareishard.com/blog/har-12-spec/, and from what the importers of Firefox
and Chrome take for granted beyond it: `pages`, and URLs that parse.
"""

import ipaddress
from collections.abc import Callable
from datetime import datetime
from math import isclose
from typing import Any
from urllib.parse import urlsplit

type Check = Callable[[Any, str], None]


class HarError(AssertionError):
    pass


def check(document: Any) -> None:
    """Raises HarError with the place of what is wrong."""
    _object(log=_LOG)(document, "har")
    log = document["log"]
    pages = [page["id"] for page in log["pages"]]
    _must(len(pages) == len(set(pages)), "log.pages", "two of one id")
    for n, entry in enumerate(log["entries"]):
        at = f"log.entries[{n}]"
        _must(entry.get("pageref") in pages, at, "pageref leads nowhere")
        spent = sum(v for v in entry["timings"].values() if not isinstance(v, str) and v != -1)
        _must(isclose(spent, entry["time"], abs_tol=1e-5), at, "time is not the sum of timings")


def _must(holds: object, at: str, why: str) -> None:
    if not holds:
        raise HarError(f"{at}: {why}")


def _text(value: Any, at: str) -> None:
    _must(isinstance(value, str), at, f"{value!r} is no text")


def _number(value: Any, at: str) -> None:
    _must(type(value) in (int, float) and value >= -1, at, f"{value!r} is no number")


def _duration(value: Any, at: str) -> None:
    _number(value, at)
    _must(value >= 0, at, "is mandatory, so -1 is not allowed")


def _integer(value: Any, at: str) -> None:
    _must(type(value) is int and value >= -1, at, f"{value!r} is no whole number")


def _flag(value: Any, at: str) -> None:
    _must(type(value) is bool, at, f"{value!r} is neither true nor false")


def _date(value: Any, at: str) -> None:
    _text(value, at)
    _must("T" in value and datetime.fromisoformat(value).tzinfo, at, f"{value!r} is no time")


def _address(value: Any, at: str) -> None:
    _text(value, at)
    ipaddress.ip_address(value)


def _url(value: Any, at: str) -> None:
    """As the URL standard of browsers takes it, without its repairs."""
    _text(value, at)
    url = urlsplit(value)
    _must(url.scheme in ("http", "https", "ws", "wss") and url.hostname, at, f"{value!r} is no URL")
    _must(url.port is None or 0 < url.port < 65536, at, "has no such port")
    _must(value.isascii() and value.isprintable() and not set(value) & set(' "<>\\^`{|}'), at,
          f"{value!r} is not escaped")  # fmt: skip
    host = url.hostname or ""
    if ":" in host or host.rstrip(".").rpartition(".")[2].isdigit():
        ipaddress.ip_address(host)
    else:
        _must(not set(host) - set("abcdefghijklmnopqrstuvwxyz0123456789-._"), at, f"host {host!r}")


def _one_of(*values: str) -> Check:
    return lambda value, at: _must(value in values, at, f"{value!r} is none of {values}")


def _list(each: Check) -> Check:
    def checked(value: Any, at: str) -> None:
        _must(isinstance(value, list), at, "is no list")
        for n, one in enumerate(value):
            each(one, f"{at}[{n}]")

    return checked


def _object(optional: dict[str, Check] | None = None, **mandatory: Check) -> Check:
    known = mandatory | (optional or {}) | {"comment": _text}

    def checked(value: Any, at: str) -> None:
        _must(isinstance(value, dict), at, "is no object")
        for name in mandatory:
            _must(name in value, at, f"{name} is missing")
        for name, inner in value.items():
            if not name.startswith("_"):
                _must(name in known, at, f"{name} is not in HAR 1.2")
                known[name](inner, f"{at}.{name}")

    return checked


def _post_data(value: Any, at: str) -> None:
    parameter = _object({"value": _text, "fileName": _text, "contentType": _text}, name=_text)
    _object({"params": _list(parameter), "text": _text}, mimeType=_text)(value, at)
    _must(("params" in value) != ("text" in value), at, "params and text exclude each other")


_CREATOR = _object(name=_text, version=_text)
_PAIRS = _list(_object(name=_text, value=_text))
_COOKIES = _list(
    _object(
        {"path": _text, "domain": _text, "expires": _date, "httpOnly": _flag, "secure": _flag},
        name=_text,
        value=_text,
    )
)
_MESSAGE: dict[str, Check] = {
    "httpVersion": _text,
    "cookies": _COOKIES,
    "headers": _PAIRS,
    "headersSize": _integer,
    "bodySize": _integer,
}
_REQUEST = _object({"postData": _post_data}, method=_text, url=_url, queryString=_PAIRS, **_MESSAGE)
_CONTENT = _object(
    {"compression": _integer, "text": _text, "encoding": _one_of("base64")},
    size=_integer,
    mimeType=_text,
)
_RESPONSE = _object(
    status=_integer, statusText=_text, content=_CONTENT, redirectURL=_text, **_MESSAGE
)
_CACHED = _object({"expires": _date}, lastAccess=_date, eTag=_text, hitCount=_integer)
_TIMINGS = _object(
    {name: _number for name in ("blocked", "dns", "connect", "ssl")},
    send=_duration,
    wait=_duration,
    receive=_duration,
)
_ENTRY = _object(
    {"pageref": _text, "serverIPAddress": _address, "connection": _text},
    startedDateTime=_date,
    time=_duration,
    request=_REQUEST,
    response=_RESPONSE,
    cache=_object({"beforeRequest": _CACHED, "afterRequest": _CACHED}),
    timings=_TIMINGS,
)
_PAGE = _object(
    startedDateTime=_date,
    id=_text,
    title=_text,
    pageTimings=_object({"onContentLoad": _number, "onLoad": _number}),
)
_LOG = _object(
    {"browser": _CREATOR},
    version=_one_of("1.2"),
    creator=_CREATOR,
    pages=_list(_PAGE),
    entries=_list(_ENTRY),
)
