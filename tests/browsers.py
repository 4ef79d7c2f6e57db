"""The HAR importers of Chromium's and Firefox' developer tools, each in its own browser, headless.

A test that uses them is skipped where the browser is not in PATH. Both give the URL of every
request that the importer took, and raise what it raised.
"""

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import websockets

from app.run.processes import free_port
from tests.waiting import wait_for

# The module that the panel Network calls for a file that is dropped on it.
_CHROMIUM = """(async (text) => {
  const har = await import('devtools://devtools/bundled/models/har/har.js');
  const log = new har.HARFormat.HARRoot(JSON.parse(text)).log;
  return har.Importer.Importer.requestsFromHARLog(log).map(request => request.url());
})(%s)"""
_FIREFOX = """
const {require} = ChromeUtils.importESModule("resource://devtools/shared/loader/Loader.sys.mjs");
const {HarImporter} = require("devtools/client/netmonitor/src/har/har-importer");
const urls = [];
new HarImporter({
  clearRequests() {}, updateRequest() {}, addTimingMarker() {},
  addRequest(id, request) { urls.push(request.url); },
}).import(arguments[0]);
return urls;
"""


def browser(*names: str) -> str:
    """Its path; the test is skipped where none of them is installed."""
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip(f"needs {names[0]} in PATH")
    return found


@contextlib.contextmanager
def _running(*command: str) -> Iterator[None]:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, **quiet)  # type: ignore[call-overload]
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def in_chromium(har: str, profile: Path) -> list[str]:
    program = browser("chromium", "chromium-browser", "google-chrome")
    port_file = profile / "DevToolsActivePort"
    with _running(
        program, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
        "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank",
    ):  # fmt: skip
        wait_for(lambda: port_file.exists() and len(port_file.read_text().split()) == 2, 60)
        port, path = port_file.read_text().split()
        return asyncio.run(_ask_chromium(f"ws://127.0.0.1:{port}{path}", har))


async def _ask_chromium(address: str, har: str) -> list[str]:
    async with asyncio.timeout(60), websockets.connect(address, max_size=None) as connection:

        async def call(method: str, session: str = "", **given: Any) -> dict[str, Any]:
            asked = {"id": 1, "method": method, "params": given}
            await connection.send(json.dumps(asked | ({"sessionId": session} if session else {})))
            while "id" not in (answer := json.loads(await connection.recv())):
                pass  # an event
            result: dict[str, Any] = answer["result"]
            return result

        url = "devtools://devtools/bundled/devtools_app.html"
        target = (await call("Target.createTarget", url=url))["targetId"]
        attached = await call("Target.attachToTarget", targetId=target, flatten=True)
        while True:
            given = {"awaitPromise": True, "returnByValue": True}
            script = _CHROMIUM % json.dumps(har)
            found = await call(
                "Runtime.evaluate", attached["sessionId"], expression=script, **given
            )
            said = str(found.get("exceptionDetails", ""))
            if "dynamically imported module" not in said:  # else the page is not there yet
                break
        if said:
            raise AssertionError(said)
        urls: list[str] = found["result"]["value"]
        return urls


def in_firefox(har: str, profile: Path) -> list[str]:
    program = browser("firefox", "firefox-esr")
    port = free_port()
    profile.mkdir(exist_ok=True)
    (profile / "user.js").write_text(f'user_pref("marionette.port", {port});\n')
    with _running(
        program, "--headless", "--marionette", "--remote-allow-system-access", "--no-remote",
        "--profile", str(profile), "about:blank",
    ):  # fmt: skip
        wait_for(lambda: _answers(port), 60)
        with (
            socket.create_connection(("127.0.0.1", port), timeout=60) as connection,
            connection.makefile("rwb") as file,
        ):
            return _ask_firefox(file, har)


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _ask_firefox(file: Any, har: str) -> list[str]:
    def receive() -> Any:
        length = b""
        while (digit := file.read(1)) != b":":
            length += digit
        return json.loads(file.read(int(length)))

    def call(method: str, **given: Any) -> Any:
        asked = json.dumps([0, 1, method, given]).encode()
        file.write(b"%d:%s" % (len(asked), asked))
        file.flush()
        _, _, error, result = receive()
        if error:
            raise AssertionError(error["message"])
        return result

    receive()  # its greeting
    call("WebDriver:NewSession", capabilities={})
    call("Marionette:SetContext", value="chrome")
    found = call("WebDriver:ExecuteScript", script=_FIREFOX, args=[har], sandbox="system")
    urls: list[str] = found["value"]
    return urls
