"""Segment: a gzipped batch; the key is in the credentials and the body."""

import json
import os

from segment.analytics.client import Client

sent = json.loads(os.environ["SENT"])
client = Client(sent["own_key"], on_error=lambda error, batch: os._exit(1), gzip=True)
for number in range(3):
    client.track(
        "someone",
        f"event {number}",
        {"password": sent["password"], "note": f"with {sent['key']}"},
        context={
            "app": {"name": "acme", "version": sent["version"]},
            "traits": {"email": sent["email"]},
        },
    )
client.shutdown()
