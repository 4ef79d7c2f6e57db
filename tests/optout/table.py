"""The products whose documented switches are tried, each with a command that makes it send."""

from collections.abc import Mapping
from typing import NamedTuple

from tests.clients.table import INSTALLED

PLACE = INSTALLED.with_name("products")  # where `measure` installs what `make clients` does not


class Product(NamedTuple):
    """`packages` are pip's (`==`) or npm's (`@`), the first is the product; without a version they
    are as `make clients` installs them. `files` are made in the working directory, `command` is run
    there by a shell; `also` are switches that its profile does not name."""

    profile: str
    packages: tuple[str, ...]
    command: str
    files: Mapping[str, str] = {}
    also: tuple[str, ...] = ("DO_NOT_TRACK=1", "CI=1")
    note: str = ""  # what the runs do not say themselves

    @property
    def is_npm(self) -> bool:
        return "==" not in self.packages[0] and "@" in self.packages[0]


_HUGGINGFACE = """
import time
from huggingface_hub.utils import send_telemetry
send_telemetry("acme", library_name="acme", library_version="1.0")
time.sleep(5)  # it is sent by a thread
"""
_MLFLOW = """
import time, mlflow
mlflow.set_tracking_uri("file:./mlruns")
with mlflow.start_run():
    pass
time.sleep(6)  # its first request asks where to send
"""
_HAYSTACK = """
from haystack import Pipeline
from haystack.components.builders import PromptBuilder
pipeline = Pipeline()
pipeline.add_component("prompt", PromptBuilder(template="say {{word}}"))
pipeline.run({"prompt": {"word": "x"}})
"""
_JSON = '{"private": true, "type": "module"}'
PRODUCTS = (
    Product("huggingface", ("huggingface-hub",), "python hf.py", {"hf.py": _HUGGINGFACE}),
    Product(
        "dbt",
        ("dbt-core",),
        "dbt {args} deps",
        {"dbt_project.yml": "name: acme\nversion: '1.0'\nprofile: acme\n"},
    ),
    Product(
        "mlflow",
        ("mlflow-skinny",),
        "env MLFLOW_ALLOW_FILE_STORE=true python runs.py",
        {"runs.py": _MLFLOW},
    ),
    Product("haystack", ("haystack-ai==3.4.1",), "python pipe.py", {"pipe.py": _HAYSTACK}),
    Product(
        "dvc",
        ("dvc==3.67.1",),
        "dvc init --no-scm -f",
        note="The process that sends ends with an ImportError before it does (dvc/types.py stands "
        "for Python's own types; DVC_DAEMON_LOGFILE shows it).",
    ),
    Product(
        "next",
        ("next@16.4.6", "react@19.3.1", "react-dom@19.3.1"),
        "next build --webpack",
        {
            "package.json": '{"private": true}',
            "app/page.js": "export default function Page() { return null }\n",
            "app/layout.js": "export default function Layout({children}) { return children }\n",
        },
    ),
    Product(
        "astro",
        ("astro@5.18.2",),
        "astro build",
        {"package.json": _JSON, "src/pages/index.astro": "<h1>x</h1>\n"},
    ),
    Product(
        "turbo",
        ("turbo@2.11.11",),
        "turbo run build --force",
        {
            "package.json": '{"name": "a", "private": true, "packageManager": "npm@10.0.0", '
            '"workspaces": ["p/*"]}',
            "turbo.json": '{"tasks": {"build": {}}}',
            "p/b/package.json": '{"name": "b", "scripts": {"build": "sleep 1"}}',
        },
    ),
    Product(
        "prisma",
        ("prisma@7.10.1",),
        "prisma validate --schema schema.prisma",
        {"schema.prisma": 'datasource db {\n  provider = "sqlite"\n}\n'},
    ),
)  # fmt: skip
