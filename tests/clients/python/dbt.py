"""dbt 1: Snowplow by GET, with contexts as JSON in base64 in the query. Its own version is sent."""

import json
import os
import sys
import tempfile
from pathlib import Path

from dbt.cli.main import dbtRunner

sent = json.loads(os.environ["SENT"])
os.environ["DBT_INVOCATION_ENV"] = f"{sent['key']}"
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "dbt_project.yml").write_text("name: acme\nversion: '1.0'\nprofile: acme\n")
    done = dbtRunner().invoke(["deps", "--project-dir", folder, "--profiles-dir", folder])
sys.exit(not done.success)
