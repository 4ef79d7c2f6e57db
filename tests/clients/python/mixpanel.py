"""Mixpanel: a form whose field `data` is JSON; the key is in each event."""

import json
import os

import mixpanel

sent = json.loads(os.environ["SENT"])
consumer = mixpanel.BufferedConsumer()
client = mixpanel.Mixpanel(sent["own_key"], consumer=consumer)
for number in range(3):
    client.track(
        "someone",
        f"event {number}",
        {
            "app_version": sent["version"],
            "password": sent["password"],
            "email": sent["email"],
            "note": f"with {sent['key']}",
        },
    )
consumer.flush()
