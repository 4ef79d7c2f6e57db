"""MLflow: reads where to send from a host of its own, then posts records as Kinesis does. Its own
version is sent."""

import json
import os
import time

from mlflow.telemetry.client import TelemetryClient
from mlflow.telemetry.schemas import Record, Status

sent = json.loads(os.environ["SENT"])
about = {"password": sent["password"], "email": sent["email"], "note": f"with {sent['key']}"}
client = TelemetryClient()
for number in range(3):
    client.add_record(Record(f"event {number}", time.time_ns(), about, Status.SUCCESS, 1))
client.flush()
