"""The page's files: our own, and those of others, pinned by version and hash.

Served below an address that holds their hash, so that a browser may keep them for good.
"""

import gzip
import hashlib
from pathlib import Path
from typing import NamedTuple

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse

_STATIC = Path(__file__).parent / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
PREFIX = "/assets"


class Vendored(NamedTuple):
    """A file of someone else's, as it was published; its licence stands beside it."""

    version: str
    licence: str
    source: str
    sha256: str


VENDORED = {
    "vendor/htmx-4.0.1.min.js": Vendored(
        "4.0.1",
        "0BSD",
        "npm htmx.org, dist/htmx.min.js",
        "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
    ),
}


class Asset(NamedTuple):
    content: bytes
    packed: bytes
    type: str
    url: str


def _load() -> dict[str, Asset]:
    found = {}
    for file in sorted(_STATIC.rglob("*")):
        if file.suffix not in _TYPES:
            continue
        name, content = file.relative_to(_STATIC).as_posix(), file.read_bytes()
        tag = hashlib.sha256(content).hexdigest()[:12]
        packed = gzip.compress(content, mtime=0)
        found[name] = Asset(content, packed, _TYPES[file.suffix], f"{PREFIX}/{tag}/{name}")
    return found


ASSETS = _load()
_BY_URL = {asset.url: asset for asset in ASSETS.values()}

routes = APIRouter(include_in_schema=False)


@routes.get(PREFIX + "/{name:path}")
async def asset(request: Request, name: str) -> Response:
    """Needs no session: the files are the same for everybody, and hold nothing."""
    found = _BY_URL.get(f"{PREFIX}/{name}")
    fixed = {"X-Content-Type-Options": "nosniff", "Vary": "Accept-Encoding"}
    if found is None:
        return PlainTextResponse("there is no such file\n", 404, fixed)
    fixed["Cache-Control"] = "public, max-age=31536000, immutable"
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(
            found.packed, media_type=found.type, headers={**fixed, "Content-Encoding": "gzip"}
        )
    return Response(found.content, media_type=found.type, headers=fixed)
