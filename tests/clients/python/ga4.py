"""GA4: JSON with the list `events`; the secret is in the query."""

import json
import os

from ga4mp import GtagMP

sent = json.loads(os.environ["SENT"])
client = GtagMP(sent["own_key"], "G-ACME", "someone")
client.store.set_user_property("email", sent["email"])
events = []
for number in range(3):
    event = client.create_new_event(f"event_{number}")
    event.set_event_param("app_version", sent["version"])
    event.set_event_param("password", sent["password"])
    event.set_event_param("note", f"with {sent['key']}")
    events.append(event)
client.send(events)
