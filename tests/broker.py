"""A real mosquitto of one test, on a port of its own, and a client that keeps what it hears."""

from __future__ import annotations

import socket
import subprocess
import threading
from pathlib import Path

import paho.mqtt.client as paho
from certificates import Certificates
from events import until


class Broker:
    """Started at once; ``password`` and ``certificates`` make it ask for them."""

    def __init__(
        self, folder: Path, *, password: str | None = None, certificates: Certificates | None = None
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        lines = [f"listener {self.port} 127.0.0.1", "user root" if _is_root() else "",
                 f"allow_anonymous {'false' if password else 'true'}",
                 "persistence true", f"persistence_location {folder}/"]
        if password:
            lines.append(f"password_file {_password_file(folder, password)}")
        if certificates:
            lines += [f"certfile {certificates.server}", f"keyfile {certificates.key}"]
        self._config = folder / "mosquitto.conf"
        self._config.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(["mosquitto", "-c", str(self._config)],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self._listens)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        assert self._process.poll() is None, "mosquitto does not start"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _is_root() -> bool:
    return Path("/proc/self").stat().st_uid == 0


def _password_file(folder: Path, password: str) -> Path:
    path = folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(path), "gate", password], check=True,
                   capture_output=True)
    return path


class Listener:
    """Subscribes to everything; over restarts of the broker it keeps its session."""

    def __init__(self, broker: Broker, name: str = "listener") -> None:
        self.heard: list[paho.MQTTMessage] = []
        self._subscribed = threading.Event()
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=name,
                                   clean_session=False)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("#", 1)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda client, _, message: self.heard.append(message)
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        assert self._subscribed.wait(5)

    def say(self, topic: str, payload: str) -> None:
        self._client.publish(topic, payload, qos=1)

    def of(self, topic: str) -> list[bytes]:
        """The payloads heard in a topic, in order."""
        return [message.payload for message in self.heard if message.topic == topic]

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
