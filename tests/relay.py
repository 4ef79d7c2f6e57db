"""A pod in the cluster whose ports lead back to this machine.

It needs an image with Python on the node, which TELEMOCK_TEST_IMAGE names; TELEMOCK_TEST_ADDRESS is
this machine's address as pods see it.
"""

import os

import pytest

from app.cluster.kube import KubeApi, Object, path
from tests.waiting import wait_for

IMAGE = os.environ.get("TELEMOCK_TEST_IMAGE", "")
ADDRESS = os.environ.get("TELEMOCK_TEST_ADDRESS", "10.244.0.1")

needs_image = pytest.mark.skipif(
    not IMAGE or not os.environ.get("KUBECONFIG"),
    reason="needs a cluster and TELEMOCK_TEST_IMAGE, an image with Python on its node",
)

_RELAY = """
import asyncio, sys
async def pump(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
async def serve(port, host, to):
    async def one(reader, writer):
        there = await asyncio.open_connection(host, to)
        await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))
    await (await asyncio.start_server(one, "0.0.0.0", port)).serve_forever()
async def main():
    await asyncio.gather(*(
        serve(int(p), host, int(to))
        for p, host, to in (pair.split("=") for pair in sys.argv[1:])
    ))
asyncio.run(main())
"""


def relay(
    api: KubeApi,
    namespace: str,
    name: str,
    labels: dict[str, str],
    ports: dict[int, int],
    container: str = "relay",
) -> Object:
    """A ready pod; `ports` leads its ports to those of this machine."""
    pairs = [f"{port}={ADDRESS}={to}" for port, to in ports.items()]
    running = {
        "name": container,
        "image": IMAGE,
        "command": ["python3", "-c", _RELAY, *pairs],
        # The first one is called as the chart calls the app's.
        "ports": [{"name": "api", "containerPort": next(iter(ports))}],
        "readinessProbe": {"tcpSocket": {"port": next(iter(ports))}, "periodSeconds": 1},
    }
    spec = {"containers": [running], "terminationGracePeriodSeconds": 0}
    place = path("api", "v1", "namespaces", namespace, "pods")
    api.request("POST", place, {"metadata": {"name": name, "labels": labels}, "spec": spec})

    def ready() -> bool:
        found = api.get(f"{place}/{name}")["status"]
        return any(
            c["type"] == "Ready" and c["status"] == "True" for c in found.get("conditions", ())
        )

    wait_for(ready, 60)
    return api.get(f"{place}/{name}")
