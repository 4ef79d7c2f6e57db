"""Finds the app that runs on a data directory of this machine. Called by the CLI."""

import http.client
import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from app.contract import names


def running_app(data: Path) -> str:
    """The URL of the app that runs on this data directory and answers, else ""."""
    try:
        found = json.loads((data / names.FILE_SERVER).read_bytes())
        url = str(found["url"])
        os.kill(int(found["pid"]), 0)
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return url if get(url + "/ready") else ""


def get(url: str, headers: Mapping[str, str] = MappingProxyType({})) -> bytes:
    """Returns the body of a 200 answer, b"" for any other outcome."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=2)
    try:
        connection.request("GET", parts.path, headers=headers)
        answer = connection.getresponse()
        return answer.read() if answer.status == 200 else b""
    except (OSError, http.client.HTTPException):
        return b""
    finally:
        connection.close()
