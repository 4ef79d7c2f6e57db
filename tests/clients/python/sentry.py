"""Sentry: envelopes; the key is in a header and in the envelope's own."""

import json
import os

import sentry_sdk

sent = json.loads(os.environ["SENT"])
sentry_sdk.init(
    f"https://{sent['own_key']}@o1.ingest.sentry.io/1",
    release=f"acme@{sent['version']}",
    event_scrubber=None,
    debug=True,
)
sentry_sdk.set_user({"id": "someone", "email": sent["email"]})
sentry_sdk.set_context("login", {"password": sent["password"]})
for number in range(3):
    sentry_sdk.capture_message(f"event {number} with {sent['key']}")
sentry_sdk.flush()
