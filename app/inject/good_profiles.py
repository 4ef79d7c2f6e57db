"""The injector's last good profiles: it has no volume, so that a ConfigMap keeps them. Made by
`app.inject.server`.
"""

import base64
import binascii
import logging

from app.cluster.kube import MERGE_PATCH, KubeApi, KubeError
from app.profiles.last_good import Good, decoded, encoded

_KEY = "profiles"

log = logging.getLogger(__name__)


class GoodConfigMap:
    """A ConfigMap that the chart makes, `place` in the API."""

    def __init__(self, api: KubeApi, place: str) -> None:
        self._api = api
        self._place = place

    def read(self) -> Good:
        try:
            found = (self._api.get(self._place).get("binaryData") or {}).get(_KEY, "")
            return decoded(base64.b64decode(found, validate=True))
        except (KubeError, binascii.Error, TypeError, ValueError):
            return {}

    def write(self, good: Good) -> None:
        change = {"binaryData": {_KEY: base64.b64encode(encoded(good)).decode()}}
        try:
            self._api.request("PATCH", self._place, change, content_type=MERGE_PATCH)
        except KubeError as e:
            log.warning("the last good profiles cannot be kept: %s", e)
