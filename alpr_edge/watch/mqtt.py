"""Events and states of cameras to an MQTT broker (MQTT 3.1.1, paho-mqtt).

Everything is published with QoS 1. An event counts as delivered when the broker has acknowledged
all of its messages; while the connection is broken it stays in the outbox. paho-mqtt sends what was
not acknowledged again by itself, so a message that is on its way is waited for, never sent anew.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import random
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from alpr_edge.errors import UsageError
from alpr_edge.watch.config import MqttConfig
from alpr_edge.watch.event_json import event_json
from alpr_edge.watch.extras import require
from alpr_edge.watch.homeassistant import BIRTH, birth_topic, discovery
from alpr_edge.watch.mqtt_topics import OFFLINE, ONLINE, CameraTopics, status_topic
from alpr_edge.watch.outbox import DeliveryError
from alpr_edge.watch.secrets import located, read_secret
from alpr_edge.watch.types import CameraStatus, Event, Media, State, View

if TYPE_CHECKING:
    from paho.mqtt.client import Client

TARGET = "mqtt"
_QOS = 1
_KEEP_ALIVE = 30  # seconds
_ACKNOWLEDGEMENT = 10.0  # seconds until an attempt counts as failed
_FAREWELL = 1.0  # seconds
_CONNECT_TIMEOUT = 4.0  # seconds; closing waits for an attempt to end
_MAX_RECONNECT = 60  # seconds

_log = logging.getLogger(__name__)


class Mqtt:
    """One broker. ``deliver`` is for its :class:`~alpr_edge.watch.outbox.Courier`; as an
    :class:`~alpr_edge.watch.types.Output` it publishes the states of the cameras.

    It connects in the background, and again and again, with growing delays, where it cannot.

    Raises:
        UsageError: host, password or certificate cannot be used.
        LibraryError: paho-mqtt is not installed.
    """

    target = TARGET

    def __init__(self, config: MqttConfig, cameras: Sequence[str]) -> None:
        self.problem: str | None = "not connected yet"
        """Why there is no connection; None where there is one."""
        self._config = config
        self._changed = threading.Condition()  # of all below
        self._cameras = list(cameras)
        self._statuses: dict[str, CameraStatus] = {}
        self._acknowledged: set[int] = set()
        self._sent: tuple[str, set[int]] | None = None
        self._closing = False
        self._client = _client(config)
        self._client.on_connect = self._on_connect
        self._client.on_connect_fail = self._on_connect_fail
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message
        try:
            config.host.encode("idna")  # what paho's thread would end at
            self._client.connect_async(config.host, config.port, keepalive=_KEEP_ALIVE)
        except ValueError as error:
            raise UsageError(f"MQTT broker {config.host!r}, port {config.port}: {error}; "
                             "set [mqtt] host and port") from error
        self._client.loop_start()

    def deliver(self, event: Event, media: Media) -> None:
        """Publish an announcement; it is with the broker when this returns.

        Raises:
            DeliveryError: there is no connection, or no acknowledgement came in 10 s.
        """
        if self.problem is not None:
            raise DeliveryError(self.problem)
        if self._sent is None or self._sent[0] != event.key:
            with self._changed:
                self._acknowledged.clear()
            self._sent = event.key, self._publish_event(event, media)
        _, messages = self._sent
        with self._changed:
            self._changed.wait_for(
                lambda: self._closing or self.problem or messages <= self._acknowledged,
                _ACKNOWLEDGEMENT,
            )
            if not messages <= self._acknowledged:
                raise DeliveryError(f"{self._broker} has not acknowledged event {event.key}")
        self._sent = None

    def _publish_event(self, event: Event, media: Media) -> set[int]:
        """The numbers of the messages."""
        topics = CameraTopics(self._config.topic, event.camera)
        text = json.dumps(event_json(event), ensure_ascii=False)
        messages = {self._publish(topics.event, text, retain=False),
                    self._publish(topics.plate, text)}
        picture = media.crop or media.scene
        if picture is not None:
            messages.add(self._publish(topics.picture, picture))
        return messages

    def _publish(self, topic: str, payload: str | bytes, *, retain: bool = True) -> int:
        return self._client.publish(topic, payload, qos=_QOS, retain=retain).mid

    def event(self, event: Event, media: Media) -> None:
        """Nothing: events come by :meth:`deliver`, from the outbox."""

    def view(self, view: View) -> None:
        """Nothing: frames are not published."""

    def status(self, status: CameraStatus) -> None:
        """Publish a camera's state, at once or as soon as there is a connection."""
        if status.state is State.REMOVED:
            self._forget(status.camera)
            return
        with self._changed:
            new = status.camera not in self._cameras
            if new:
                self._cameras.append(status.camera)
            self._statuses[status.camera] = status
        if self.problem is None and new:
            self._publish_discovery(status.camera)
        if self.problem is None:
            self._publish_status(status)

    def _forget(self, camera: str) -> None:
        """Take back what a broker keeps of a camera: an empty message ends a retained one."""
        with self._changed:
            self._cameras = [name for name in self._cameras if name != camera]
            self._statuses.pop(camera, None)
        if self.problem is not None:
            _log.warning("%s still knows camera %s, which was removed while it was away",
                         self._broker, camera)
            return
        topics = CameraTopics(self._config.topic, camera)
        kept = topics.state, topics.plate, topics.picture
        for topic in (*discovery(self._config, camera), *kept):
            self._publish(topic, b"")

    def _publish_status(self, status: CameraStatus) -> None:
        topics = CameraTopics(self._config.topic, status.camera)
        self._publish(topics.state, json.dumps(dataclasses.asdict(status), ensure_ascii=False))

    def _publish_all(self) -> None:
        """What a broker or a Home Assistant that has just started does not know."""
        with self._changed:
            cameras, statuses = list(self._cameras), list(self._statuses.values())
        for camera in cameras:
            self._publish_discovery(camera)
        for status in statuses:
            self._publish_status(status)
        self._publish(status_topic(self._config), ONLINE)

    def _publish_discovery(self, camera: str) -> None:
        for topic, payload in discovery(self._config, camera).items():
            self._publish(topic, json.dumps(payload))

    def _on_connect(self, client: Client, _: Any, flags: Any, reason: Any, more: Any) -> None:
        if reason.is_failure:
            self._lost(f"{self._broker} refuses the connection: {reason}; check [mqtt] username "
                       "and password_file")
            return
        _log.info("connected to %s", self._broker)
        self.problem = None
        if self._config.discovery is not None:
            client.subscribe(birth_topic(self._config.discovery), _QOS)
        self._publish_all()

    def _on_connect_fail(self, client: Client, _: Any) -> None:
        self._lost(f"{self._broker} cannot be reached; check [mqtt] host, port, tls and ca_file, "
                   "and the network")

    def _on_disconnect(self, client: Client, _: Any, flags: Any, reason: Any, more: Any) -> None:
        if self.problem is None and not self._closing:  # else it was refused, or never there
            self._lost(f"{self._broker} is gone: {reason}")

    def _lost(self, problem: str) -> None:
        if self.problem != problem:
            _log.warning("%s; trying again", problem)
        with self._changed:
            self.problem = problem
            self._changed.notify_all()

    def _on_publish(self, client: Client, _: Any, message: int, *more: Any) -> None:
        with self._changed:
            self._acknowledged.add(message)
            self._changed.notify_all()

    def _on_message(self, client: Client, _: Any, message: Any) -> None:
        if message.payload == BIRTH.encode():
            _log.info("Home Assistant has started: telling it of the cameras")
            self._publish_all()

    @property
    def _broker(self) -> str:
        return f"MQTT broker {self._config.host}:{self._config.port}"

    def close(self) -> None:
        """Say ``offline`` and disconnect; after its courier has been closed."""
        if self.problem is None:
            farewell = self._publish(status_topic(self._config), OFFLINE)
            with self._changed:
                self._changed.wait_for(lambda: farewell in self._acknowledged, _FAREWELL)
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._client.disconnect()
        self._client.loop_stop()


def _client(config: MqttConfig) -> Client:
    paho = require("paho.mqtt.client", "watch")
    client: Client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=config.client_id)
    client.connect_timeout = _CONNECT_TIMEOUT
    client.reconnect_delay_set(random.randint(1, 3), _MAX_RECONNECT)  # boxes do not come in step
    client.will_set(status_topic(config), OFFLINE, qos=_QOS, retain=True)
    if config.username is not None:
        password = read_secret(config.password_file) if config.password_file else None
        client.username_pw_set(config.username, password)
    if config.tls:
        try:
            client.tls_set(ca_certs=str(located(config.ca_file)) if config.ca_file else None)
        except OSError as error:
            raise UsageError(f"{config.ca_file} is no certificate in PEM form ({error}); set "
                             "[mqtt] ca_file to the broker's authority's") from error
    return client
