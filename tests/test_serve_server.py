"""The service as a server: it starts, is told of by a real watch, and ends in time."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from conftest import ROOT
from events import NO_MEDIA, event, until
from serve_fakes import FakeWatch

from alpr_edge.cli import main
from alpr_edge.errors import UsageError
from alpr_edge.serve.app import create_app
from alpr_edge.serve.server import Server
from alpr_edge.watch.config import CameraConfig, Config, ModelConfig, ServeConfig, StoreConfig
from alpr_edge.watch.watch import Watch

DEMO = ROOT / "docs" / "demo"


def server_of(watch, config: ServeConfig = ServeConfig()) -> Server:  # noqa: B008 (frozen)
    return Server(create_app(watch, config), host="127.0.0.1", port=0)


def test_ends_in_time_with_open_streams_and_leaves_no_thread():
    before = set(threading.enumerate())
    watch = FakeWatch()
    with server_of(watch) as server, httpx.stream(
        "GET", f"{server.url}/v1/events/stream"
    ) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        assert next(lines) == "retry: 2000"
        watch.add(event(1))
        assert any(line == f"id: {event(1).key}" for line in lines)
        begin = time.monotonic()
        server.__exit__(None, None, None)
        assert list(lines)[-1] == ""  # the end of a message, then of the stream
    assert time.monotonic() - begin < 5
    assert not server.alive and watch.subscription.closed
    left = [t for t in set(threading.enumerate()) - before if not t.name.startswith("serve-read")]
    assert not left


def test_stream_goes_on_after_the_last_event_id(tmp_path):
    watch = FakeWatch(tmp_path)
    for number in (1, 2):
        watch.store.add(event(number), NO_MEDIA)
    headers = {"Last-Event-ID": event(1).key}
    with server_of(watch) as server, httpx.stream(
        "GET", f"{server.url}/v1/events/stream", headers=headers
    ) as answer:
        ids = (line for line in answer.iter_lines() if line.startswith("id: "))
        assert next(ids) == f"id: {event(2).key}"


def test_a_connection_serves_on_after_head_of_the_event_stream():
    watch = FakeWatch()
    limits = httpx.Limits(max_connections=1)
    with server_of(watch) as server, httpx.Client(
        base_url=server.url, limits=limits, timeout=2
    ) as client:
        assert client.head("/v1/events/stream").status_code == 200
        assert client.get("/healthz").json() == {"healthy": True}


def test_ends_in_time_while_a_picture_is_read(tmp_path):
    watch = FakeWatch()
    watch.seconds = 1.0
    picture = (DEMO / "eu.jpg").read_bytes()
    answers = []
    with server_of(watch) as server:
        def post() -> None:
            answers.append(httpx.post(f"{server.url}/v1/read", content=picture, timeout=20))

        thread = threading.Thread(target=post)
        thread.start()
        while not watch.pictures:
            time.sleep(0.01)
        begin = time.monotonic()
    assert time.monotonic() - begin < 5
    thread.join()
    assert answers[0].status_code == 200  # it was let finish


def test_endless_chunks_are_cut_off_over_a_socket():
    with server_of(FakeWatch(), ServeConfig(max_body_mb=0.1)) as server:
        address = httpx.URL(server.url)
        with socket.create_connection((address.host, address.port)) as connection:
            connection.sendall(b"POST /v1/read HTTP/1.1\r\nHost: localhost\r\n"
                               b"Transfer-Encoding: chunked\r\n\r\n")
            sent = 0
            try:
                while sent < 50_000_000:
                    connection.sendall(b"2710\r\n" + bytes(10_000) + b"\r\n")
                    sent += 10_000
            except OSError:
                pass  # it has hung up
        assert sent < 20_000_000  # what the sockets' buffers hold
        assert httpx.get(f"{server.url}/healthz").status_code == 200


@pytest.mark.parametrize("sent", [b"\x16\x03\x01 hello\r\n\r\n", b"GET / HTTP/1.1\r\n: x\r\n\r\n",
                                  b"GET /" + b"a" * 100_000])
def test_what_is_no_http_is_told_so_in_json(sent):
    with server_of(FakeWatch()) as server:
        address = httpx.URL(server.url)
        with socket.create_connection((address.host, address.port), timeout=5) as connection:
            connection.sendall(sent)
            answer = b"".join(iter(lambda: connection.recv(4096), b""))
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ") and b"application/json" in head
        assert json.loads(body)["code"] == "no_http"
        assert httpx.get(f"{server.url}/healthz").status_code == 200


def connected(server: Server, sent: bytes = b"") -> socket.socket:
    address = httpx.URL(server.url)
    connection = socket.create_connection((address.host, address.port), timeout=5)
    connection.sendall(sent)
    return connection


ASKED = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


def test_connections_beyond_the_most_are_closed_at_once(monkeypatch):
    monkeypatch.setattr("alpr_edge.serve.server.MOST_CONNECTIONS", 2)
    with server_of(FakeWatch()) as server, connected(server), \
            connected(server) as second, connected(server) as third:
        assert third.recv(1) == b""
        second.sendall(ASKED + b"\r\n")
        assert second.recv(4096).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(("request_before", "part"), [
    (b"", b""), (b"", ASKED), (ASKED + b"\r\n", b"G"), (ASKED + b"Content-Length: 9\r\n\r\n", b"x"),
])
def test_who_sends_no_whole_request_in_time_is_cut_off(monkeypatch, request_before, part):
    monkeypatch.setattr("alpr_edge.serve.server.HEAD_SECONDS", 0.2)
    with server_of(FakeWatch()) as server, connected(server, request_before) as connection:
        if request_before:
            assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        connection.sendall(part)
        while connection.recv(4096):
            pass  # the rest of the answer


def test_a_broken_body_after_the_answer_ends_the_connection_without_a_traceback(caplog):
    chunked = ASKED + b"Transfer-Encoding: chunked\r\n\r\n"
    with server_of(FakeWatch()) as server, connected(server, chunked) as connection:
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"no number\r\n")
        while connection.recv(4096):
            pass
    assert [record.name for record in caplog.records] == ["uvicorn.error"]


def test_who_takes_nothing_of_the_answers_is_cut_off(monkeypatch):
    monkeypatch.setattr("alpr_edge.serve.server.STALL_SECONDS", 0.3)
    asked = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 1000
    with server_of(FakeWatch()) as server, connected(server, asked) as connection:
        assert connection.recv(10)
        until(lambda: not server._uvicorn.server_state.connections)


def test_slow_uploads_and_streams_are_not_cut_off(monkeypatch):
    monkeypatch.setattr("alpr_edge.serve.server.HEAD_SECONDS", 0.1)
    watch, picture = FakeWatch(), (DEMO / "eu.jpg").read_bytes()

    def slowly():
        for begin in range(0, len(picture), len(picture) // 4):
            yield picture[begin : begin + len(picture) // 4]
            time.sleep(0.1)

    with server_of(watch) as server, httpx.stream(
        "GET", f"{server.url}/v1/events/stream"
    ) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "retry: 2000"
        assert httpx.post(f"{server.url}/v1/read", content=slowly()).status_code == 200
        watch.add(event(1))
        assert any(line == f"id: {event(1).key}" for line in lines)


def test_more_requests_than_it_serves_at_once_are_refused(monkeypatch):
    monkeypatch.setattr("alpr_edge.serve.guard.MOST_REQUESTS", 1)
    with server_of(FakeWatch()) as server:
        with httpx.stream("GET", f"{server.url}/v1/events/stream") as answer:
            lines = answer.iter_lines()  # kept, since its end would end the stream
            assert next(lines) == "retry: 2000"
            refused = httpx.get(f"{server.url}/healthz")
            assert refused.status_code == 503 and refused.headers["retry-after"]
            assert refused.json()["code"] == "too_many_requests"
        end = time.monotonic() + 5
        while httpx.get(f"{server.url}/healthz").status_code != 200:
            assert time.monotonic() < end
            time.sleep(0.05)


def test_address_in_use_names_the_remedy():
    with server_of(FakeWatch()) as server:
        port = httpx.URL(server.url).port
        with pytest.raises(UsageError, match=f"port {port}: .*in use.*; choose another"):
            Server(create_app(FakeWatch(), ServeConfig()), host="127.0.0.1", port=port)


def test_command_says_what_is_wrong(capsys, tmp_path):
    assert main(["serve", "--host", "0.0.0.0"]) == 2
    assert "token" in capsys.readouterr().err
    assert main(["serve", "--config", str(tmp_path / "none.toml")]) == 2
    assert "none.toml" in capsys.readouterr().err


def test_a_real_watch_of_the_demo_pictures(tmp_path, tiny_models):
    """Folder → tracker → store → service, with models that always read the same."""
    config = Config(
        cameras=(CameraConfig(name="demo", source=str(DEMO)),),
        model=ModelConfig(models=tiny_models, threads=1),
        store=StoreConfig(path=tmp_path / "events.db"),
    )
    with Watch(config) as watch, server_of(watch) as server, \
            httpx.Client(base_url=server.url, timeout=20) as client:
        def events() -> list[dict]:
            return client.get("/v1/events").raise_for_status().json()["events"]

        end = time.monotonic() + 20
        while not events():
            assert time.monotonic() < end
            time.sleep(0.1)
        found = events()[0]
        assert found["camera"] == "demo" and found["text"] == "皖A12345"
        crop = client.get(f"/v1/events/{found['id']}/crop")
        assert crop.content.startswith(b"\xff\xd8")
        assert client.get("/v1/cameras").json()["cameras"][0]["camera"] == "demo"
        assert client.get("/v1/cameras/demo/picture").content.startswith(b"\xff\xd8")
        record = client.post("/v1/read", content=(DEMO / "eu.jpg").read_bytes()).json()
        assert [plate["text"] for plate in record["plates"]] == ["皖A12345"]
        assert "demo" in client.get("/metrics").text
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{server.url}/healthz")


@pytest.mark.parametrize("sides", [(1, 1), (1, 9000), (9000, 1), (3, 3)])
def test_strange_pictures_do_not_end_the_watch(tiny_models, sides):
    import cv2
    import numpy as np
    _, data = cv2.imencode(".png", np.zeros((*sides, 3), np.uint8))
    with Watch(Config(model=ModelConfig(models=tiny_models, threads=1))) as watch, \
            server_of(watch) as server:
        answer = httpx.post(f"{server.url}/v1/read", content=data.tobytes(), timeout=20)
        assert answer.status_code == 200, answer.text
        assert watch.alive


@pytest.mark.slow
def test_command_serves_and_ends_in_time(tmp_path):
    """The shipped models, as a process: ready, reads a demo picture, SIGHUP, SIGTERM."""
    config = tmp_path / "alpr-edge.toml"
    config.write_text('[serve]\nport = 0\n[store]\npath = "events.db"\n')
    process = subprocess.Popen(
        [sys.executable, "-m", "alpr_edge", "serve", "--config", config, "--threads", "1"],
        stderr=subprocess.PIPE, text=True, env=os.environ | {"XDG_CACHE_HOME": str(tmp_path)},
    )
    try:
        assert process.stderr is not None
        url = next(found[1] for line in process.stderr
                   if (found := re.search(r"serving at (http\S+)", line)))
        with httpx.Client(base_url=url, timeout=20) as client:
            assert client.get("/readyz").status_code == 200
            record = client.post("/v1/read", content=(DEMO / "eu.jpg").read_bytes()).json()
            assert record["plates"][0]["text"] == "29BHJ54"
            process.send_signal(signal.SIGHUP)
            assert any("configuration read again" in line for line in process.stderr)
            with client.stream("GET", "/v1/events/stream") as answer:
                assert next(answer.iter_lines()) == "retry: 2000"
                begin = time.monotonic()
                process.terminate()
                assert process.wait(10) == 0
        assert time.monotonic() - begin < 5
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    assert not Path(config.with_suffix(".db-wal")).exists()
