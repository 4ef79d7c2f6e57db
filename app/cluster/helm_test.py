"""Sends one telemetry request through a sidecar and reads its record back from the API.

`python -m app.cluster.helm_test`, run by the pod of `helm test`: it has a sidecar like any pod that
opted in, and a token that may read captures.
"""

import os
import ssl
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

from app.contract.instant import iso
from app.contract.names import MOUNT_API_TOKEN, PATH_CAPTURES
from app.escape import paragraphs, plain

HOST = "cdn.cribl.io"
VERSION = "0.0.0-helmtest"  # tells these requests from a product's in reports
_WAIT_S = 60.0  # for the record: sidecars send theirs every few seconds
_PAUSE_S = 0.5


class TrialError(Exception):
    """The test failed. The text is meant for people, whole."""


def send(trust: str, url: str) -> tuple[int, bytes]:
    """Sends a telemetry request; returns status and body. The file `trust` holds its trusted CAs.

    Raises TrialError.
    """
    try:
        context = ssl.create_default_context(cafile=trust)
    except OSError as e:  # SSLError is one
        raise TrialError(
            f"NODE_EXTRA_CA_CERTS is {trust}, which is no certificate: {e.strerror or e}\n\n"
            "hint: kubectl logs POD -c telemock shows whether the sidecar could write it"
        ) from None
    try:
        with httpx.Client(verify=context, trust_env=False, timeout=20) as http:
            answer = http.get(url, params={"v": VERSION})
    except httpx.HTTPError as e:
        raise TrialError(
            f"{url} was not answered: {e}\n\n"
            "hint: kubectl logs POD -c telemock shows what the sidecar did"
        ) from None
    return answer.status_code, answer.content


def find(
    api: httpx.Client, workload: str, since_ns: int, wait_s: float = _WAIT_S
) -> Mapping[str, object]:
    """Waits for the record of what `workload` (namespace/pod) sent. Raises TrialError."""
    until = time.monotonic() + wait_s
    query = {"workload": workload, "version": VERSION, "since": iso(since_ns)}
    last = "no record yet"
    while True:
        try:
            answer = api.get(PATH_CAPTURES, params=query)
            if answer.status_code == 200:
                if items := answer.json()["items"]:
                    found: Mapping[str, object] = items[0]
                    return found
                last = "no record of this pod"
            else:
                last = f"{answer.status_code} {answer.text[:500]}"
        except (httpx.HTTPError, ValueError, KeyError) as e:
            last = str(e)
        if time.monotonic() > until:
            raise TrialError(
                f"the API at {api.base_url} does not have the capture after {wait_s:g} s: "
                f"{plain(last)}\n\n"
                "hint: kubectl logs POD -c telemock shows whether the sidecar could send it"
            )
        time.sleep(_PAUSE_S)


def trial(environ: Mapping[str, str], token: Path, url: str = f"https://{HOST}/telemetry/") -> str:
    """Runs the test; returns a sentence for people. Raises TrialError."""
    trust = environ.get("NODE_EXTRA_CA_CERTS", "")
    if not trust:
        raise TrialError(
            "this pod has no sidecar: NODE_EXTRA_CA_CERTS is not set\n\n"
            "hint: the annotation telemock.io/status of the pod says why; without it the injector "
            "was not asked"
        )
    workload = f"{environ['POD_NAMESPACE']}/{environ['POD_NAME']}"
    began_ns = time.time_ns()
    status, body = send(trust, url)
    if status != 200:
        raise TrialError(
            f"{url} was answered with {status}, expected 200\n\n"
            "hint: kubectl logs POD -c telemock shows the rule"
        )
    context = ssl.create_default_context(cafile=environ["TELEMOCK_API_CA"])
    headers = {"authorization": f"Bearer {token.read_text(encoding='ascii').strip()}"}
    with httpx.Client(
        base_url=environ["TELEMOCK_API_URL"],
        headers=headers,
        verify=context,
        trust_env=False,
        timeout=20,
    ) as api:
        record = find(api, workload, began_ns)
    answer = plain(body[:200].decode("utf-8", "replace").strip())
    return (
        f"{workload} asked {url}\n"
        f"the answer was {answer!r}\n"
        f"the capture is {record['boot']}:{record['seq']} at {environ['TELEMOCK_API_URL']}"
    )


def main() -> int:
    token = Path(MOUNT_API_TOKEN) / "token"
    try:
        sys.stdout.write(trial(os.environ, token) + "\n")
    except TrialError as e:
        sys.stderr.write(paragraphs(f"error: {e}") + "\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
