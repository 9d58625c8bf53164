"""Discovery messages against what Home Assistant documents.

The keys are those of https://www.home-assistant.io/integrations/sensor.mqtt/, /image.mqtt/ and
/binary_sensor.mqtt/ (sections "Configuration"), those of ``device`` are on the same pages, those of
``origin`` and the form of the topic at /integrations/mqtt/#mqtt-discovery. Home Assistant ignores
unknown keys in discovery messages, so a wrong one would never be told by it. ``platform`` is left
out: the pages allow it in messages that discover a whole device only.
"""

from __future__ import annotations

import json
import re

import pytest

from alpr_edge.watch.config import MqttConfig
from alpr_edge.watch.homeassistant import birth_topic, discovery
from alpr_edge.watch.mqtt_topics import CameraTopics, status_topic

TEXT = str
COMMON = {
    "availability": list, "availability_mode": TEXT, "availability_template": TEXT,
    "availability_topic": TEXT, "device": dict, "enabled_by_default": bool, "encoding": TEXT,
    "entity_category": TEXT, "icon": TEXT, "json_attributes_template": TEXT,
    "json_attributes_topic": TEXT, "name": TEXT, "object_id": TEXT, "unique_id": TEXT,
}
STATE = {
    "device_class": TEXT, "entity_picture": TEXT, "expire_after": int, "force_update": bool,
    "payload_available": TEXT, "payload_not_available": TEXT, "qos": int, "state_topic": TEXT,
    "value_template": TEXT,
}
DOCUMENTED = {
    "sensor": COMMON | STATE | {
        "last_reset_value_template": TEXT, "options": list, "state_class": TEXT,
        "suggested_display_precision": int, "unit_of_measurement": TEXT,
    },
    "image": COMMON | {
        "content_type": TEXT, "image_encoding": TEXT, "image_topic": TEXT, "url_template": TEXT,
        "url_topic": TEXT,
    },
    "binary_sensor": COMMON | STATE | {"off_delay": int, "payload_off": TEXT, "payload_on": TEXT},
}
REQUIRED = {"sensor": {"state_topic"}, "image": {"image_topic"}, "binary_sensor": {"state_topic"}}
"""Of an image one of ``image_topic`` and ``url_topic``, never both."""
DEVICE = {
    "configuration_url", "connections", "hw_version", "identifiers", "manufacturer", "model",
    "model_id", "name", "serial_number", "suggested_area", "sw_version", "via_device",
}
ORIGIN = {"name", "sw_version", "support_url"}  # the first is required
TOPIC = re.compile(r"homeassistant/(sensor|image|binary_sensor)/([a-zA-Z0-9_-]+)/config")

CONFIG = MqttConfig(host="broker", client_id="north gate/1")


@pytest.fixture(params=["gate", "停车场", "a" * 64])
def messages(request):
    return discovery(CONFIG, request.param)


def test_each_camera_has_the_three_entities_of_one_device(messages):
    components = [TOPIC.fullmatch(topic)[1] for topic in messages]
    assert components == ["sensor", "image", "binary_sensor"]
    assert len({json.dumps(payload["device"]) for payload in messages.values()}) == 1
    unique = [payload["unique_id"] for payload in messages.values()]
    assert len(set(unique)) == 3
    assert [TOPIC.fullmatch(topic)[2] for topic in messages] == unique  # documented best practice


def test_keys_and_types_are_documented_and_complete(messages):
    for topic, payload in messages.items():
        component = TOPIC.fullmatch(topic)[1]
        values = dict(json.loads(json.dumps(payload)))
        origin = values.pop("origin")
        assert ORIGIN >= origin.keys() >= {"name"}
        assert values.keys() <= DOCUMENTED[component].keys()
        assert values.keys() >= REQUIRED[component]
        for key, value in values.items():
            assert type(value) is DOCUMENTED[component][key], key
        assert values["device"].keys() <= DEVICE
        assert values["device"]["identifiers"]  # this or connections must be there
        assert not {"availability", "availability_topic"} <= values.keys()
        assert not {"image_topic", "url_topic"} <= values.keys()
        assert values.get("entity_category", "diagnostic") == "diagnostic"
        assert values.get("icon", "mdi:x").startswith("mdi:")


def test_topics_are_those_that_are_published():
    sensor, image, connected = discovery(CONFIG, "gate").values()
    topics = CameraTopics(CONFIG.topic, "gate")
    assert sensor["state_topic"] == sensor["json_attributes_topic"] == topics.plate
    assert image["image_topic"] == topics.picture and image["content_type"] == "image/jpeg"
    assert connected["state_topic"] == topics.state
    assert connected["device_class"] == "connectivity"
    assert {one["availability_topic"] for one in (sensor, image, connected)} == {
        status_topic(CONFIG)
    }


def test_cameras_and_processes_have_devices_of_their_own():
    configs = (CONFIG, MqttConfig(host="broker", client_id="south"))
    unique = [payload["unique_id"] for config in configs for camera in ("gate", "yard")
              for payload in discovery(config, camera).values()]
    assert len(unique) == len(set(unique)) == 12


def test_it_can_be_off_or_elsewhere():
    assert discovery(MqttConfig(host="broker", discovery=None), "gate") == {}
    assert all(topic.startswith("ha/")
               for topic in discovery(MqttConfig(host="broker", discovery="ha"), "gate"))
    assert birth_topic("homeassistant") == "homeassistant/status"
