"""OpenTelemetry's semantic conventions for HTTP, as names of spans and labels of metrics use them.

Used by the sidecar and by the app, so that one query shows both. What a client may make up is one
word: names and labels are few.
"""

OTHER = "_OTHER"
# Of RFC 9110, with PATCH (RFC 5789) and QUERY.
METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)
_SCHEMES = frozenset({"http", "https"})


def method_of(method: str) -> str:
    """`http.request.method`."""
    return method if method in METHODS else OTHER


def scheme_of(scheme: str) -> str:
    """`url.scheme`."""
    return scheme if scheme in _SCHEMES else OTHER


def span_name(method: str, route: str) -> str:
    """Never a path: names are few."""
    method = method_of(method)
    return f"{'HTTP' if method == OTHER else method} {route}".rstrip()
