"""Snowplow: `tp2`, with contexts as JSON in base64 in JSON."""

import json
import os

from snowplow_tracker import (
    Emitter,
    SelfDescribingJson,
    StructuredEvent,
    Subject,
    Tracker,
)

sent = json.loads(os.environ["SENT"])
emitter = Emitter("collector.acme.test", on_failure=lambda *_: os._exit(1))
subject = Subject().set_user_id(sent["email"])
tracker = Tracker("acme", emitter, subject, app_id="acme")
about = {"version": sent["version"], "password": sent["password"], "note": f"with {sent['key']}"}
context = SelfDescribingJson("iglu:test/acme/jsonschema/1-0-0", about)
for number in range(3):
    tracker.track(StructuredEvent("acme", f"event {number}", context=[context]))
tracker.flush()
