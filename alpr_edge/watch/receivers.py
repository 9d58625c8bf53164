"""The store and who gets events from it: webhooks and MQTT, a courier each."""

from __future__ import annotations

import contextlib
import logging
import time
from concurrent.futures import ThreadPoolExecutor

from alpr_edge.errors import DataError, OutputError, UsageError
from alpr_edge.watch.config import Config
from alpr_edge.watch.mqtt import Mqtt
from alpr_edge.watch.outbox import Courier
from alpr_edge.watch.store import Store
from alpr_edge.watch.types import Output
from alpr_edge.watch.webhook import Webhook

_log = logging.getLogger(__name__)
PRUNE_SECONDS = 60.0
_POLL = 0.02


class Receivers:
    """Store, couriers and what they deliver to, as configured.

    Raises:
        UsageError: there are receivers but no store, or a setting of theirs is wrong.
        OutputError: the store cannot be opened.
    """

    def __init__(self, config: Config) -> None:
        if config.store.path is None and (config.webhooks or config.mqtt):
            raise UsageError(
                "webhooks and MQTT get their events from the store, so that none is lost; set "
                "[store] path, or --store FILE"
            )
        self.outputs: list[Output] = []
        """Those that get statuses too; whoever delivers closes them."""
        self.couriers: list[Courier] = []
        self.store: Store | None = None
        self._webhooks: list[Webhook] = []
        self._pruned = -PRUNE_SECONDS
        if config.store.path is None:
            return
        with contextlib.ExitStack() as opened:
            self.store = Store(config.store)
            opened.callback(self.store.close)
            for one in config.webhooks:
                webhook = Webhook(one)
                opened.callback(webhook.close)
                self._webhooks.append(webhook)
                self.couriers.append(Courier(self.store, webhook.target, webhook.deliver))
            if config.mqtt is not None:
                broker = Mqtt(config.mqtt, [camera.name for camera in config.cameras])
                self.outputs.append(broker)
                self.couriers.append(Courier(self.store, broker.target, broker.deliver))
            opened.pop_all()

    @property
    def targets(self) -> list[str]:
        """The couriers' names: whom the store keeps each event for."""
        return [courier.target for courier in self.couriers]

    @property
    def alive(self) -> bool:
        """Whether every courier still works, however its receiver is."""
        return all(courier.alive for courier in self.couriers)

    def start(self) -> None:
        """Deliver what is there already, and what comes."""
        for courier in self.couriers:
            courier.start()

    def prune(self) -> None:
        """Remove what was kept long enough, once a minute at most.

        Raises:
            OutputError: the store cannot be written.
            DataError: its file is damaged.
        """
        now = time.monotonic()
        if self.store is not None and now - self._pruned >= PRUNE_SECONDS:
            self._pruned = now
            self.store.prune()

    def stop(self, patience: float = 0.0) -> None:
        """Deliver nothing more; what waits stays in the store. Receivers that work have
        ``patience`` seconds to take it."""
        deadline = time.monotonic() + patience
        while self._has_more_to_deliver() and time.monotonic() < deadline:
            time.sleep(_POLL)
        if self.couriers:
            with ThreadPoolExecutor(len(self.couriers), "close") as pool:  # each may take seconds
                list(pool.map(Courier.close, self.couriers))
        for webhook in self._webhooks:
            webhook.close()

    def _has_more_to_deliver(self) -> bool:
        if self.store is None:
            return False
        try:
            backlogs = self.store.outbox.backlogs()
        except (OutputError, DataError) as error:
            _log.error("%s", error)
            return False
        return any(
            courier.problem is None and courier.target in backlogs
            and backlogs[courier.target].waiting > 0 for courier in self.couriers
        )

    def close(self) -> None:
        """Close the store, when nobody adds to it any more."""
        if self.store is not None:
            self.store.close()
