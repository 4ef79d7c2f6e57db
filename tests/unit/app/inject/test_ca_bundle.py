import base64
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.cluster import pki
from app.cluster.kube import KubeError
from app.inject.ca_bundle import trust
from tests.cluster import cluster, namespace, needs_cluster
from tests.webhooks import CONFIGURATIONS, configuration


@needs_cluster
def test_every_entry_trusts_it_and_is_written_once() -> None:
    ca = pki.make_authority().certificate
    with cluster() as api, namespace(api, "i2-bundle") as ns:
        url = {"url": "https://127.0.0.1:9/mutate"}
        with configuration(api, f"{ns}-injector", ns, url, entries=3):
            assert trust(api, f"{ns}-injector", ca)
            assert not trust(api, f"{ns}-injector", ca)
            found = api.get(f"{CONFIGURATIONS}/{ns}-injector")
            wanted = base64.b64encode(ca).decode()
            assert [w["clientConfig"]["caBundle"] for w in found["webhooks"]] == [wanted] * 3
            assert {w["clientConfig"]["url"] for w in found["webhooks"]} == {url["url"]}


@needs_cluster
def test_replicas_at_once_agree() -> None:
    ca = pki.make_authority().certificate
    with (
        cluster() as api,
        namespace(api, "i2-bundle") as ns,
        configuration(api, f"{ns}-injector", ns, {"url": "https://127.0.0.1:9/mutate"}),
        ThreadPoolExecutor(4) as pool,
    ):
        written = list(pool.map(lambda _: trust(api, f"{ns}-injector", ca), range(4)))
        assert sum(written) == 1


@needs_cluster
def test_configuration_that_is_gone() -> None:
    with cluster() as api:
        with pytest.raises(KubeError) as e:
            trust(api, "i2-none-injector", b"ca")
        assert e.value.status == 404
