"""Home Assistant's MQTT discovery: each camera becomes a device with three entities.

- sensor *Plate*: the text of the last plate; the event's fields are its attributes;
- image *Picture*: the last plate's picture;
- binary sensor *Connected*: whether pictures come from the camera.

https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery has the format,
``/integrations/sensor.mqtt/``, ``image.mqtt`` and ``binary_sensor.mqtt`` the keys.
"""

from __future__ import annotations

import re
from typing import Any

from alpr_edge import __version__
from alpr_edge.watch.config import MqttConfig
from alpr_edge.watch.mqtt_topics import CameraTopics, status_topic
from alpr_edge.watch.types import State

Payload = dict[str, Any]
BIRTH = "online"
"""What Home Assistant says in :func:`birth_topic` when it has started."""


def birth_topic(discovery: str) -> str:
    """Where Home Assistant tells of its starts and ends."""
    return f"{discovery}/status"


def discovery(config: MqttConfig, camera: str) -> dict[str, Payload]:
    """What to publish, retained, by topic; nothing where discovery is off."""
    if config.discovery is None:
        return {}
    topics = CameraTopics(config.topic, camera)
    device = re.sub(r"[^A-Za-z0-9_-]", "_", f"{config.client_id}_{camera}")
    messages = {}
    for component, name, entity in (
        ("sensor", "plate", _sensor(topics)),
        ("image", "picture", _image(topics)),
        ("binary_sensor", "connected", _binary_sensor(topics)),
    ):
        entity_id = f"{device}_{name}"
        messages[f"{config.discovery}/{component}/{entity_id}/config"] = entity | {
            "name": name.capitalize(),
            "unique_id": entity_id,
            "availability_topic": status_topic(config),
            "device": {
                "identifiers": [device], "name": camera, "manufacturer": "alpr-edge",
                "model": "Licence plate reader", "sw_version": __version__,
            },
            "origin": {"name": "alpr-edge", "sw_version": __version__},
        }
    return messages


def _sensor(topics: CameraTopics) -> Payload:
    return {
        "state_topic": topics.plate, "value_template": "{{ value_json.text }}",
        "json_attributes_topic": topics.plate, "icon": "mdi:car", "qos": 1,
    }


def _image(topics: CameraTopics) -> Payload:
    return {"image_topic": topics.picture, "content_type": "image/jpeg", "icon": "mdi:camera"}


def _binary_sensor(topics: CameraTopics) -> Payload:
    on = f"{{{{ 'ON' if value_json.state == '{State.RUNNING}' else 'OFF' }}}}"
    return {
        "state_topic": topics.state, "value_template": on, "device_class": "connectivity",
        "json_attributes_topic": topics.state, "entity_category": "diagnostic", "qos": 1,
    }
