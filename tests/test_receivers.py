"""Store, couriers, webhook and a real broker together, as a watch has them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from broker import Broker, Listener
from events import EVENT, MEDIA, ended, until
from receiver import Receiver

from alpr_edge.errors import OutputError, UsageError
from alpr_edge.watch.config import Config, MqttConfig, StoreConfig, WebhookConfig
from alpr_edge.watch.receivers import Receivers


@pytest.mark.external("mosquitto")
def test_every_receiver_gets_every_announcement_once_over_a_restart(tmp_path):
    broker = Broker(tmp_path)
    listener = Listener(broker)
    hook = Receiver()
    config = Config(
        store=StoreConfig(path=tmp_path / "events.db"),
        mqtt=MqttConfig(host="127.0.0.1", port=broker.port),
        webhooks=(WebhookConfig(name="a", url=hook.url),
                  WebhookConfig(name="mqtt", url="http://127.0.0.1:1/")),
    )
    before = threading.active_count()
    for one in (EVENT, ended(EVENT)):
        receivers = Receivers(config)
        assert receivers.targets == ["webhook a", "webhook mqtt", "mqtt"]
        receivers.start()
        receivers.store.add(one, MEDIA, receivers.targets)
        until(lambda one=one: one.key in hook.keys)
        until(lambda one=one: any(
            json.loads(payload)["key"] == one.key
            for payload in listener.of("alpr-edge/gate/event")
        ))
        until(lambda receivers=receivers: "mqtt" not in receivers.store.outbox.backlogs())
        until(lambda receivers=receivers: "webhook a" not in receivers.store.outbox.backlogs())
        receivers.prune()
        assert receivers.alive
        receivers.stop()
        for output in receivers.outputs:
            output.close()
        receivers.close()
    until(lambda: threading.active_count() <= before)
    assert hook.keys == [EVENT.key, ended(EVENT).key]
    assert len(listener.of("alpr-edge/gate/event")) == 2
    hook.close()
    listener.close()
    broker.stop()


def test_receivers_that_cannot_be_made_leave_the_store_free(tmp_path):
    config = Config(
        store=StoreConfig(path=tmp_path / "events.db"),
        webhooks=(WebhookConfig(name="a", url="http://127.0.0.1:1/"),),
    )
    missing = MqttConfig(host="127.0.0.1", tls=True, ca_file=tmp_path / "none.pem")
    with pytest.raises(UsageError, match="none.pem"):
        Receivers(dataclasses.replace(config, mqtt=missing))
    receivers = Receivers(config)
    receivers.stop()
    receivers.close()


def test_they_are_closed_though_the_store_cannot_be_read(tmp_path, monkeypatch, caplog):
    receivers = Receivers(Config(
        store=StoreConfig(path=tmp_path / "events.db"),
        webhooks=(WebhookConfig(name="a", url="http://127.0.0.1:1/"),),
    ))
    receivers.start()

    def unreadable():
        raise OutputError("events.db: disk I/O error")

    monkeypatch.setattr(receivers.store.outbox, "backlogs", unreadable)
    receivers.stop(5.0)
    assert "disk I/O error" in caplog.text
    assert not any(courier._thread.is_alive() for courier in receivers.couriers)
    receivers.close()


def test_receivers_that_hang_are_waited_for_together(tmp_path, monkeypatch):
    monkeypatch.setattr("alpr_edge.watch.outbox._STOP_SECONDS", 0.5)
    with contextlib.ExitStack() as opened:
        ports = [opened.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1]
                 for _ in range(4)]
        receivers = Receivers(Config(
            store=StoreConfig(path=tmp_path / "events.db"),
            webhooks=tuple(
                WebhookConfig(name=f"hook {port}", url=f"http://127.0.0.1:{port}/")
                for port in ports
            ),
        ))
        receivers.start()
        receivers.store.add(EVENT, MEDIA, receivers.targets)
        time.sleep(0.2)  # each has connected and waits for an answer
        begun = time.monotonic()
        receivers.stop()
        assert time.monotonic() - begun < 1.5
        receivers.close()


SENDER = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from events import MEDIA, event
from alpr_edge.watch.config import Config, StoreConfig, WebhookConfig
from alpr_edge.watch.receivers import Receivers
receivers = Receivers(Config(store=StoreConfig(path=Path({path!r})),
                             webhooks=(WebhookConfig(name="a", url={url!r}),)))
receivers.start()
for number in range({first}, {first} + {count}):
    receivers.store.add(event(number), MEDIA, receivers.targets)
    print(event(number).key, flush=True)
while receivers.store.outbox.backlogs():
    pass
receivers.stop()
receivers.close()
"""


@pytest.mark.slow
def test_kill_9_while_delivering_loses_nothing_and_repeats_one_delivery_at_most(tmp_path):
    hook = Receiver()
    draw = random.Random(0)
    acknowledged: list[str] = []
    kills = 10

    def sender(run: int, count: int) -> subprocess.Popen[str]:
        script = SENDER.format(tests=str(Path(__file__).parent), path=str(tmp_path / "events.db"),
                               url=hook.url, first=run * 100_000, count=count)
        return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)

    for run in range(kills):
        with sender(run, 100_000) as process:
            acknowledged.append(process.stdout.readline().strip())
            time.sleep(draw.uniform(0.1, 0.8))
            process.send_signal(signal.SIGKILL)
            acknowledged += process.stdout.read().split()
    with sender(kills, 1) as process:
        acknowledged += process.stdout.read().split()
    hook.close()
    once = list(dict.fromkeys(hook.keys))
    assert [key for key in once if key in set(acknowledged)] == acknowledged  # all, in order
    assert len(hook.keys) <= len(once) + kills
    assert len(once) <= len(acknowledged) + kills  # stored, but killed before it could be told
    assert len(once) > 10 * kills
