"""Keeps the store and the log files within their age and size, while the app runs.

`app.runtime` starts both.
"""

import asyncio
import logging
from contextlib import suppress

from app.logs.disk import too_small
from app.logs.files import LogFiles
from app.settings import Settings
from app.store import Store, StoreError

_PERIOD_S = 60.0

log = logging.getLogger(__name__)


async def of_store(store: Store, settings: Settings) -> None:
    max_age = settings.retention_days * 86400 or None
    max_bytes = settings.retention_size or None
    while max_age or max_bytes:
        with suppress(StoreError):  # full or broken: the writer and /ready report it
            pruned = await asyncio.to_thread(store.prune, max_age_s=max_age, max_bytes=max_bytes)
            if pruned.captures:
                log.info("retention dropped %d captures", pruned.captures)
            if pruned.more:
                continue
        await asyncio.sleep(_PERIOD_S)


async def of_logs(files: LogFiles, settings: Settings) -> None:
    limits = {settings.data: settings.retention_size, settings.logs: settings.logs_size}
    with suppress(OSError):
        if told := too_small(limits):
            log.warning(
                "%s; hint: lower TELEMOCK_RETENTION_SIZE or TELEMOCK_LOGS_SIZE, or enlarge it",
                told,
            )
    while True:
        try:
            await asyncio.to_thread(files.look)
        except OSError as e:
            log.warning("the log files cannot be looked at: %s", e.strerror)
        await asyncio.sleep(_PERIOD_S)
