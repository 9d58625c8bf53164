"""What the service asks of a running watch."""

from __future__ import annotations

from typing import Protocol

from alpr_edge.pipeline import Result
from alpr_edge.types import Image
from alpr_edge.watch.prometheus import Measured
from alpr_edge.watch.types import Event, View


class SubscriptionLike(Protocol):
    """Events as they happen; :class:`alpr_edge.watch.delivery.Subscription` is one."""

    lost: int
    """Events that it was too slow for."""

    def get(self, timeout: float) -> Event | None:
        """The next event, or None where there is none within ``timeout`` seconds."""

    def close(self) -> None:
        """No more are wanted."""


class WatchLike(Measured, Protocol):
    """The part of :class:`alpr_edge.watch.watch.Watch` that the service uses."""

    @property
    def ready(self) -> bool:
        """Whether the models are loaded."""

    def read(self, image: Image, timeout: float) -> Result:
        """The plates of a picture of its own.

        Raises:
            TimeoutError: its turn did not come, or it was not read, within ``timeout`` seconds.
        """

    def views(self) -> dict[str, View]:
        """The latest frame of each camera that had one."""

    def subscribe(self) -> SubscriptionLike:
        """Be told of events from now on."""
