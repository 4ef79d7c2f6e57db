"""The demo's stand-in for a Cribl node, without Node.js: an HTTPS client that takes its proxy and
its trusted certificates from the environment (HTTPS_PROXY, SSL_CERT_FILE) and knows nothing of
telemock. The same as node.js, with the standard library.

python node.py CALLS.json: a list of {method, url, headers, body}. Prints one line of JSON a call:
{status, location, start, size, sha256, issuer}, or {error}.
"""

import hashlib
import http.client
import json
import os
import ssl
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


def call(one: dict[str, Any]) -> dict[str, Any]:
    """Sends one request through a tunnel of its own."""
    proxy = urlsplit(os.environ["HTTPS_PROXY"])
    url = urlsplit(one["url"])
    connection = http.client.HTTPSConnection(
        proxy.hostname or "", proxy.port, timeout=10, context=ssl.create_default_context()
    )
    connection.set_tunnel(url.hostname or "", url.port or 443)
    try:
        target = url.path + (f"?{url.query}" if url.query else "")
        connection.request(one["method"], target, one.get("body"), one.get("headers", {}))
        peer: Any = connection.sock.getpeercert()
        issuer = dict(part[0] for part in peer["issuer"])
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as e:
        return {"error": str(e)}
    finally:
        connection.close()
    return {
        "status": answer.status,
        "location": answer.getheader("location", ""),
        "start": body[:200].decode("latin-1"),
        "size": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
        "issuer": issuer.get("commonName", ""),
    }


if __name__ == "__main__":
    for one in json.loads(Path(sys.argv[1]).read_bytes()):
        print(json.dumps(call(one)), flush=True)
