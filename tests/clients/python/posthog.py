"""PostHog: a gzipped batch; the key is in the body."""

import json
import os

import posthog

sent = json.loads(os.environ["SENT"])
client = posthog.Posthog(sent["own_key"], on_error=lambda error, batch: os._exit(1), gzip=True)
for number in range(3):
    client.capture(
        f"event {number}",
        distinct_id="someone",
        properties={
            "app_version": sent["version"],
            "password": sent["password"],
            "email": sent["email"],
            "note": f"with {sent['key']}",
        },
    )
client.shutdown()
