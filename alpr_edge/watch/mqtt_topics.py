"""The topics of MQTT, below ``[mqtt] topic``.

================================  ========  ==================================================
topic                             retained  payload
================================  ========  ==================================================
``alpr-edge/status``              yes       ``online``, or ``offline`` (also the last will)
``alpr-edge/CAMERA/state``        yes       JSON of CameraStatus: state, since, problem, fps...
``alpr-edge/CAMERA/event``        no        JSON of every announcement
``alpr-edge/CAMERA/plate``        yes       the same of the last one, for who comes later
``alpr-edge/CAMERA/picture``      yes       JPEG of the last plate (or the scene), where kept
================================  ========  ==================================================
"""

from __future__ import annotations

import dataclasses

from alpr_edge.watch.config import MqttConfig

ONLINE, OFFLINE = "online", "offline"


@dataclasses.dataclass(frozen=True)
class CameraTopics:
    """The topics of one camera; its name is one level of them."""

    base: str
    camera: str

    @property
    def state(self) -> str:
        """Its status."""
        return f"{self.base}/{self.camera}/state"

    @property
    def event(self) -> str:
        """Each announcement."""
        return f"{self.base}/{self.camera}/event"

    @property
    def plate(self) -> str:
        """The last announcement."""
        return f"{self.base}/{self.camera}/plate"

    @property
    def picture(self) -> str:
        """The last picture."""
        return f"{self.base}/{self.camera}/picture"


def status_topic(config: MqttConfig) -> str:
    """Whether this process is there."""
    return f"{config.topic}/status"
