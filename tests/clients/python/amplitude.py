"""Amplitude: JSON with the list `events`; the key is in the body."""

import json
import os

from amplitude import Amplitude, BaseEvent, Config


def told(event, code, message):
    if code != 200:
        os._exit(1)


sent = json.loads(os.environ["SENT"])
client = Amplitude(sent["own_key"], Config(callback=told, flush_interval_millis=200))
for number in range(3):
    client.track(
        BaseEvent(
            f"event {number}",
            user_id="someone",
            app_version=sent["version"],
            event_properties={"password": sent["password"], "note": f"with {sent['key']}"},
            user_properties={"email": sent["email"]},
        )
    )
client.flush()
client.shutdown()
