from __future__ import annotations

import dataclasses
import json
import shutil
import socket
import time
from pathlib import Path

import certifi
import pytest
from broker import Broker, Listener
from certificates import make_certificates
from events import EVENT, MEDIA, NO_MEDIA, ended, event, until

from alpr_edge.errors import UsageError
from alpr_edge.watch.backoff import Backoff
from alpr_edge.watch.config import Config, MqttConfig, StoreConfig
from alpr_edge.watch.config_files import mistakes
from alpr_edge.watch.event_json import event_json
from alpr_edge.watch.homeassistant import discovery
from alpr_edge.watch.mqtt import Mqtt
from alpr_edge.watch.outbox import Courier, DeliveryError
from alpr_edge.watch.store import Store
from alpr_edge.watch.types import CameraStatus, State

STATUS = CameraStatus(camera="gate", state=State.RUNNING, since=5.0, problem=None, fps=10.0,
                      frames=7, dropped=1, idle=2)


@pytest.fixture
def broker(tmp_path):
    broker = Broker(tmp_path)
    yield broker
    broker.stop()


@pytest.fixture
def listener(broker):
    listener = Listener(broker)
    yield listener
    listener.close()


@pytest.fixture
def mqtt(broker, listener):
    mqtt = Mqtt(MqttConfig(host="127.0.0.1", port=broker.port), ["gate"])
    until(lambda: mqtt.problem is None)
    yield mqtt
    mqtt.close()


def retained(broker: Broker, topics: int) -> dict[str, bytes]:
    """What somebody who comes now is told at once."""
    newcomer = Listener(broker, "newcomer")
    until(lambda: len(newcomer.heard) >= topics)
    newcomer.close()
    assert all(message.retain for message in newcomer.heard)
    return {message.topic: message.payload for message in newcomer.heard}


@pytest.mark.external("mosquitto")
def test_events_pictures_and_states_are_published_and_retained(broker, listener, mqtt):
    mqtt.status(STATUS)
    mqtt.deliver(EVENT, MEDIA)
    mqtt.deliver(ended(EVENT, text="B"), NO_MEDIA)
    until(lambda: len(listener.of("alpr-edge/gate/event")) == 2)
    assert json.loads(listener.of("alpr-edge/gate/event")[0]) == event_json(EVENT)
    told = retained(broker, 7)
    assert "alpr-edge/gate/event" not in told
    assert json.loads(told["alpr-edge/gate/plate"])["text"] == "B"
    assert told["alpr-edge/gate/picture"] == MEDIA.crop
    assert told["alpr-edge/status"] == b"online"
    assert json.loads(told["alpr-edge/gate/state"]) == {
        "camera": "gate", "state": "running", "since": 5.0, "problem": None, "fps": 10.0,
        "frames": 7, "dropped": 1, "idle": 2,
    }
    for topic, payload in discovery(MqttConfig(host=""), "gate").items():
        assert json.loads(told[topic]) == payload


@pytest.mark.external("mosquitto")
def test_a_started_home_assistant_is_told_again(listener, mqtt):
    mqtt.status(STATUS)
    topics = [*discovery(MqttConfig(host=""), "gate"), "alpr-edge/gate/state"]
    until(lambda: all(listener.of(topic) for topic in topics))
    heard = [len(listener.of(topic)) for topic in topics]
    listener.say("homeassistant/status", "offline")
    listener.say("homeassistant/status", "online")
    until(lambda: [len(listener.of(topic)) for topic in topics] == [n + 1 for n in heard])


@pytest.mark.external("mosquitto")
def test_a_camera_that_comes_later_is_discovered(listener, mqtt):
    mqtt.status(dataclasses.replace(STATUS, camera="yard"))
    until(lambda: listener.of("alpr-edge/yard/state"))
    assert all(listener.of(topic) for topic in discovery(MqttConfig(host=""), "yard"))


@pytest.mark.external("mosquitto")
def test_of_a_camera_that_was_removed_nothing_is_left(broker, listener, mqtt):
    mqtt.status(STATUS)
    mqtt.deliver(EVENT, MEDIA)
    mqtt.status(dataclasses.replace(STATUS, state=State.REMOVED))
    until(lambda: listener.of("alpr-edge/gate/picture")[-1:] == [b""])
    assert list(retained(broker, 1)) == ["alpr-edge/status"]
    listener.say("homeassistant/status", "online")  # nor is it told again
    until(lambda: len(listener.of("alpr-edge/status")) == 2)
    assert all(listener.of(topic)[-1] == b"" for topic in discovery(MqttConfig(host=""), "gate"))


@pytest.mark.external("mosquitto")
def test_the_last_will_is_told_where_the_connection_breaks(listener, mqtt):
    until(lambda: listener.of("alpr-edge/status") == [b"online"])
    mqtt._client.socket().shutdown(socket.SHUT_RDWR)  # as if the cable were cut
    until(lambda: listener.of("alpr-edge/status")[:3] == [b"online", b"offline", b"online"])


@pytest.mark.external("mosquitto")
def test_closing_says_offline(listener, broker):
    mqtt = Mqtt(MqttConfig(host="127.0.0.1", port=broker.port), [])
    until(lambda: mqtt.problem is None)
    mqtt.close()
    until(lambda: listener.of("alpr-edge/status")[-1:] == [b"offline"])


@pytest.mark.external("mosquitto")
def test_a_restarted_broker_gets_everything_in_order(tmp_path, broker, listener, mqtt):
    store = Store(StoreConfig(path=tmp_path / "events.db"))
    courier = Courier(store, mqtt.target, mqtt.deliver, backoff=Backoff(first=0.1, limit=0.5))
    courier.start()
    sent: list[str] = []

    def send(count: int) -> None:
        for _ in range(count):
            store.add(event(len(sent)), MEDIA, [mqtt.target])
            sent.append(event(len(sent)).key)

    mqtt.status(STATUS)
    send(20)
    until(lambda: courier.delivered > 5)
    broker.stop()  # in the middle of the twenty, or just after them
    send(20)
    until(lambda: courier.problem)
    broker.start()
    send(5)
    until(lambda: courier.delivered == len(sent), 20)
    until(lambda: len(set(listener.of("alpr-edge/gate/event"))) == len(sent), 20)
    keys = [json.loads(payload)["key"] for payload in listener.of("alpr-edge/gate/event")]
    assert list(dict.fromkeys(keys)) == sent
    assert len(keys) <= len(sent) + 1  # at most the one whose acknowledgement was lost
    assert listener.of("alpr-edge/gate/state") and store.outbox.backlogs() == {}
    courier.close()
    store.close()


@pytest.mark.external("mosquitto", "openssl")
def test_password_and_certificate(tmp_path):
    certificates = make_certificates(tmp_path)
    broker = Broker(tmp_path, password="open sesame", certificates=certificates)
    secret = tmp_path / "secret"
    secret.write_text("open sesame\n")
    base = {"host": "127.0.0.1", "port": broker.port, "tls": True, "username": "gate"}
    right = Mqtt(MqttConfig(**base, password_file=secret, ca_file=certificates.authority), [])
    until(lambda: right.problem is None)
    right.deliver(EVENT, NO_MEDIA)
    right.close()
    no_password = Mqtt(MqttConfig(**base, ca_file=certificates.authority), [])
    until(lambda: "refuses the connection" in (no_password.problem or ""))
    no_password.close()
    stranger = Mqtt(MqttConfig(**base, password_file=secret), [])
    until(lambda: "cannot be reached" in (stranger.problem or ""))
    with pytest.raises(DeliveryError, match="tls and ca_file"):
        stranger.deliver(EVENT, NO_MEDIA)
    stranger.close()
    broker.stop()


def test_without_a_broker_events_stay_and_closing_is_quick():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    mqtt = Mqtt(MqttConfig(host="127.0.0.1", port=port), ["gate"])
    mqtt.status(STATUS)
    until(lambda: "cannot be reached" in (mqtt.problem or ""))
    with pytest.raises(DeliveryError) as caught:
        mqtt.deliver(EVENT, MEDIA)
    assert not caught.value.permanent
    began = time.monotonic()
    mqtt.close()
    assert time.monotonic() - began < 3


@pytest.mark.parametrize("changes", [{"host": ""}, {"host": "broker..lan"}, {"port": 0}])
def test_settings_that_cannot_be_are_told(changes):
    with pytest.raises(UsageError, match="host and port"):
        Mqtt(MqttConfig(**{"host": "broker"} | changes), [])


def test_the_certificate_may_lie_with_the_secrets_that_systemd_hands_over(tmp_path, monkeypatch):
    shutil.copy(certifi.where(), tmp_path / "secrets_ca.pem")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    config = MqttConfig(host="127.0.0.1", port=1, tls=True, ca_file=Path("/nowhere/secrets/ca.pem"))
    assert not list(mistakes(Config(mqtt=config)))
    Mqtt(config, []).close()


def test_a_file_that_is_no_certificate_is_told(tmp_path):
    path = tmp_path / "ca.pem"
    path.write_text("no certificate")
    with pytest.raises(UsageError, match="ca.pem is no certificate"):
        Mqtt(MqttConfig(host="broker", tls=True, ca_file=path), [])
