"""Takes the pictures of README and docs from the demo's data: `make screenshots`.

Starts the demo in a directory of its own, on free ports, and stops what it left running.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS

IMAGES = Path(__file__).parents[2] / "docs/images"
VIEWS = {
    "overview": "/",
    "captures": "/captures?q=action:mock",
    "versions": "/versions",
}
SIZE = {"width": 1280, "height": 800}


def main() -> int:
    if CHROMIUM is None:
        print("error: there is no browser\n\nhint: apt-get install chromium", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        places = {"TELEMOCK_DATA": f"{folder}/data", "TELEMOCK_LOGS": f"{folder}/logs"}
        done = subprocess.run(
            [sys.executable, "-m", "app.cli", "demo", "--keep", "--json"],
            env={**os.environ, **places, "PORT": "0", "MITM_PORT": "0"},
            stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
        outcome = json.loads(done.stdout)
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
                take(browser, outcome["page"])
                browser.close()
        finally:
            for pid in outcome["pids"]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
    return 0


def take(browser: Browser, link: str) -> None:
    context = browser.new_context(viewport=SIZE)
    page = context.new_page()
    page.goto(link)
    page.wait_for_url(lambda url: "login" not in url)
    origin = page.evaluate("location.origin")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        for name, address in VIEWS.items():
            page.goto(origin + address)
            path = IMAGES / f"page-{name}-{theme}.png"
            page.screenshot(path=path)
            print(f"{path.relative_to(IMAGES.parents[1])}  {path.stat().st_size >> 10} KiB")
    context.close()


if __name__ == "__main__":
    sys.exit(main())
