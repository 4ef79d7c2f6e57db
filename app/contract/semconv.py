"""OpenTelemetry's semantic conventions for HTTP, for names of spans and labels of metrics.

Used by the sidecar and by the app, so that one query shows both. Values that a client may invent
become one word, so that names and labels stay few.
"""

OTHER = "_OTHER"
# RFC 9110's, with PATCH (RFC 5789) and QUERY.
METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)
_SCHEMES = frozenset({"http", "https"})


def method_of(method: str) -> str:
    """The value of `http.request.method`."""
    return method if method in METHODS else OTHER


def scheme_of(scheme: str) -> str:
    """The value of `url.scheme`."""
    return scheme if scheme in _SCHEMES else OTHER


def span_name(method: str, route: str) -> str:
    """The span's name, never with a path, so that names stay few."""
    method = method_of(method)
    return f"{'HTTP' if method == OTHER else method} {route}".rstrip()
