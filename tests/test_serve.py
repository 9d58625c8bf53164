"""The service's guard, events, cameras, health and documents."""

from __future__ import annotations

import asyncio
import json
import re
import time
import tomllib

import cv2
import httpx
import numpy as np
import pytest
from conftest import ROOT
from events import MEDIA, NO_MEDIA, ended, event
from serve_client import Client, refused
from serve_fakes import MS, FakeWatch, status, view

from alpr_edge import budget
from alpr_edge.errors import OutputError, UsageError
from alpr_edge.serve import answers, stream
from alpr_edge.serve.app import create_app
from alpr_edge.stages import Stage
from alpr_edge.types import Plate
from alpr_edge.watch.config import ServeConfig
from alpr_edge.watch.event_json import event_json
from alpr_edge.watch.media import SCENE_WIDTH
from alpr_edge.watch.types import Access, Known, State

TOKEN = "correct horse battery"
EVENTS = "/v1/events"


@pytest.fixture
def watch(tmp_path) -> FakeWatch:
    return FakeWatch(tmp_path)


@pytest.fixture
def client(watch):
    with Client(create_app(watch, ServeConfig())) as client:
        yield client


@pytest.fixture
def token_file(tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    return file


# guard


def test_this_machine_may_be_named_in_many_ways(client):
    for host in ("localhost", "LOCALHOST:8000", "127.0.0.1:8000", "127.1.2.3", "[::1]:8000"):
        assert client.get("/healthz", headers={"host": host}).json() == {"healthy": True}


@pytest.mark.parametrize("path", ["/", "/healthz", EVENTS])
def test_foreign_host_is_refused(client, path):
    for host in (
        "", "evil.example", "evil.example:8000", "localhost.evil.example", "[::2]", "[", "0.0.0.0",
        "127.0.0.1.evil.example", "192.168.1.2", "localhost@evil.example",
    ):
        refused(client.get(path, headers={"host": host}), 421, "wrong_host")


def test_foreign_page_is_refused(client):
    for origin in ("https://evil.example", "null", "http://localhost:9", ""):
        answer = client.post("/v1/read", headers={"origin": origin})
        refused(answer, 403, "wrong_origin")


def test_own_page_is_not_refused(client):
    assert client.get(EVENTS, headers={"origin": "http://localhost"}).status_code == 200


@pytest.mark.parametrize("sent", [
    None, "", "Bearer", f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", f"Basic {TOKEN}", TOKEN,
    "Bearer \xe9",
])
def test_token_is_needed(watch, token_file, sent):
    headers = {} if sent is None else {"authorization": sent.encode("latin-1")}
    with Client(create_app(watch, ServeConfig(token_file=token_file))) as client:
        for path in (
            EVENTS, "/v1/events/stream", "/v1/cameras", "/v1/cameras/gate/picture", "/metrics",
            "/nowhere", "/v1/read", "/page", "/docs/", "/page/../v1/events",
        ):
            answer = client.get(path, headers=headers)
            refused(answer, 401, "no_token")
            assert answer.headers["www-authenticate"] == "Bearer" and TOKEN not in answer.text


def test_with_a_token_any_name_and_page_will_do(watch, token_file):
    config = ServeConfig(host="0.0.0.0", token_file=token_file)
    headers = {"host": "box.lan", "authorization": f"bearer {TOKEN}"}
    with Client(create_app(watch, config)) as client:
        assert client.get(EVENTS, headers=headers).status_code == 200
        for path in ("/", "/page/page.js", "/healthz", "/readyz", "/docs", "/openapi.json"):
            assert client.get(path, headers={"host": "box.lan"}).status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "box.lan"])
def test_others_are_only_let_in_with_a_token(watch, host):
    with pytest.raises(UsageError, match="no token.*openssl rand"):
        create_app(watch, ServeConfig(host=host))


def test_short_token_is_no_token(watch, tmp_path):
    (tmp_path / "token").write_text("secret")
    with pytest.raises(UsageError, match="has 6 characters; at least 16") as caught:
        create_app(watch, ServeConfig(token_file=tmp_path / "token"))
    assert "secret" not in str(caught.value).replace(str(tmp_path), "")


def test_blanks_round_a_token_do_not_count(watch, token_file):
    token_file.write_text(f" {TOKEN} \n")
    with Client(create_app(watch, ServeConfig(token_file=token_file))) as client:
        answer = client.get(EVENTS, headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200


def test_a_token_that_no_header_can_have_is_refused_at_the_start(watch, token_file):
    token_file.write_text("Schlüssel für die Tür", "utf-8")
    with pytest.raises(UsageError, match="no header can have; printable ASCII") as caught:
        create_app(watch, ServeConfig(token_file=token_file))
    assert "Schlüssel" not in str(caught.value)


def test_every_answer_is_secured(client):
    for path in ("/", "/page/page.js", EVENTS, "/nowhere", "/v1/cameras/gate/picture"):
        headers = client.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "http" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] in ("no-store", "no-cache")
        assert "access-control-allow-origin" not in headers


# errors


def test_every_error_is_json(client):
    refused(client.get("/nowhere"), 404, "not_found")
    refused(client.get("/page/../app.py"), 404, "not_found")
    refused(client.get("/page/%2e%2e/app.py"), 404, "not_found")
    answer = client.request("DELETE", EVENTS)
    refused(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET"
    body = refused(client.get(EVENTS, params={"limit": 0}), 422, "invalid_parameter")
    assert body["error"].startswith("limit: ")


def test_own_failure_is_told_without_its_details(watch, client, caplog):
    def broken():
        raise RuntimeError("the camera's password is 1234")

    watch.statuses = broken
    answer = client.get("/v1/cameras")
    refused(answer, 500, "internal_error")
    assert "1234" not in answer.text and "1234" in caplog.text
    assert "content-security-policy" in answer.headers


def test_store_that_fails_is_unavailable(watch, client):
    def full(query):
        raise OutputError("events.db: the disk is full; make room")

    watch.store.events = full
    body = refused(client.get(EVENTS), 503, "unavailable")
    assert "disk is full" in body["error"]


# events


@pytest.fixture
def three(watch):
    """Stored, the latest last."""
    known = Known(text="B2", access=Access.ALLOW, label="", distance=0)
    return [
        watch.add(event(1, text="A1", camera="gate", known=None, first_seen=10.0, last_seen=20.0)),
        watch.add(event(2, text="B2", camera="gate", known=known, first_seen=30.0, last_seen=40.0)),
        watch.add(event(3, text="AB3", camera="yard", known=None, first_seen=50.0, last_seen=60.0),
                  MEDIA),
    ]


def test_events_are_filtered(client, three):
    for query, numbers in (
        ({}, [3, 2, 1]),
        ({"text": "b"}, [3, 2]),
        ({"text": "a-b"}, [3]),
        ({"camera": "gate"}, [2, 1]),
        ({"since": 40}, [3, 2]),
        ({"until": 30}, [2, 1]),
        ({"since": 21, "until": 29}, []),
        ({"access": "allow"}, [2]),
        ({"access": "deny"}, []),
        ({"text": "%"}, []),
        ({"text": "\0"}, []),
    ):
        page = client.get(EVENTS, params=query).raise_for_status().json()
        assert page == {"events": [event_json(three[n - 1]) for n in numbers], "next": None}


def test_events_come_in_pages(client, three):
    first = client.get(EVENTS, params={"limit": 2}).json()
    second = client.get(EVENTS, params={"limit": 2, "before": first["next"]}).json()
    assert [e["text"] for e in first["events"] + second["events"]] == ["AB3", "B2", "A1"]
    assert first["next"] == three[1].id and second["next"] is None
    refused(client.get(EVENTS, params={"before": "no id"}), 422, "invalid_parameter")
    assert client.get(EVENTS, params={"before": event(9).id}).json()["events"] == []


def test_wrong_queries_are_refused(client):
    for query in (
        {"limit": 201}, {"limit": "x"}, {"before": 0}, {"before": 2**70}, {"since": "nan"},
        {"until": "inf"}, {"access": "all"}, {"text": "x" * 33}, {"camera": "x" * 201},
    ):
        body = refused(client.get(EVENTS, params=query), 422, "invalid_parameter")
        assert next(iter(query)) in body["error"]


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", EVENTS])
def test_head_is_answered_as_get_is(client, path):
    answer = client.request("HEAD", path)
    assert answer.status_code == 200 and answer.headers["content-length"] != "0"


def test_head_of_the_event_stream_ends(watch):
    app = create_app(watch, ServeConfig())
    with Client(app) as client:
        asked = client.run(
            lambda asking: asyncio.wait_for(asking.head(f"{EVENTS}/stream"), timeout=2)
        )
        assert asked.headers["content-type"].startswith("text/event-stream")
        assert not app.state.announcer._queues  # no stream is left


def test_a_name_given_twice_is_refused(client):
    body = refused(client.get(f"{EVENTS}?text=a&text=b"), 422, "invalid_parameter")
    assert body["error"] == "text: given more than once"
    began = time.process_time()
    refused(client.get(f"{EVENTS}?{'text=&' * 10_000}"), 422, "invalid_parameter")
    assert time.process_time() - began < 0.3


def test_unknown_names_in_a_query_are_refused(client):
    body = refused(client.get(EVENTS, params={"foo": 1, "limit": 5}), 422, "invalid_parameter")
    assert body["error"] == "foo: unknown" and "text, camera, since, until" in body["remedy"]
    refused(client.get("/v1/cameras", params={"foo": 1}), 422, "invalid_parameter")


def test_one_event_and_its_pictures(client, three):
    path = f"{EVENTS}/{three[2].id}"
    assert client.get(path).json() == event_json(three[2])
    for kind in ("crop", "scene"):
        answer = client.get(f"{path}/{kind}")
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.content == getattr(MEDIA, kind)
        refused(client.get(f"{EVENTS}/{three[0].id}/{kind}"), 404, "no_picture")
    refused(client.get(f"{EVENTS}/{event(9).id}"), 404, "no_event")
    refused(client.get(f"{EVENTS}/..%2fevents.db/crop"), 404, "not_found")
    refused(client.get(f"{EVENTS}/1/crop"), 422, "invalid_parameter")


def test_without_a_store_there_are_no_events():
    with Client(create_app(FakeWatch(), ServeConfig())) as client:
        for path in (EVENTS, f"{EVENTS}/{event(1).id}", f"{EVENTS}/{event(1).id}/crop"):
            refused(client.get(path), 404, "no_store")


# stream


def read_stream(client, watch, announcer, last=None, count=1, add=()):
    """The texts of a stream until ``count`` events came; ``add`` happens as soon as it is open."""
    async def read(_client) -> list[str]:
        texts = []
        messages = announcer.messages(watch.store, last)
        async for text in messages:
            if not texts:
                for one in add:
                    watch.add(one)
            texts.append(text)
            if len(texts) > count:
                break
        await messages.aclose()
        return texts

    return client.run(read)


@pytest.fixture
def announcer(watch):
    """The announcer of an app, its client and its watch."""
    app = create_app(watch, ServeConfig())
    with Client(app) as client:
        yield lambda **options: read_stream(client, watch, app.state.announcer, **options)


def fields(text: str) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in text.strip().splitlines())


def test_stream_tells_new_events(announcer):
    first = event(1, text="皖A12345")
    texts = announcer(count=2, add=[first, ended(first)])
    assert texts[0] == "retry: 2000\n\n"
    messages = [fields(text) for text in texts[1:]]
    assert [message["id"] for message in messages] == [first.key, ended(first).key]
    assert {message["event"] for message in messages} == {"plate"}
    assert json.loads(messages[0]["data"]) == event_json(first)
    assert all(text.endswith("\n\n") for text in texts)


def test_stream_goes_on_where_it_broke(announcer, watch):
    one, two, three, four = (event(number) for number in range(1, 5))
    for happened in (one, two, ended(one)):
        watch.store.add(happened, NO_MEDIA)
    after_one = announcer(last=one.key, count=3, add=[three])
    assert [fields(text)["id"] for text in after_one[1:]] == [two.key, ended(one).key, three.key]
    after_end = announcer(last=ended(one).key, count=2, add=[four])
    assert [fields(text)["id"] for text in after_end[1:]] == [three.key, four.key]


def test_stream_tells_all_that_was_missed_however_much(announcer, watch, monkeypatch):
    monkeypatch.setattr(stream, "_AT_ONCE", 3)
    missed = [event(number) for number in range(8)]
    for one in missed:
        watch.store.add(one, NO_MEDIA)
    texts = announcer(last=missed[0].key, count=8, add=[event(8)])
    assert [fields(text)["id"] for text in texts[1:]] == [
        event(number).key for number in range(1, 9)
    ]


def test_streams_are_cut_off_where_the_service_lost_events(watch):
    app = create_app(watch, ServeConfig())

    async def read(_client):
        async with asyncio.timeout(10):
            messages = app.state.announcer.messages(None, None)
            await anext(messages)
            watch.subscription.lost = 1
            watch.add(event(1))
            return [text async for text in messages]

    with Client(app) as client:
        assert client.run(read) == []


def test_stream_after_an_unknown_event_tells_what_is_new(announcer, watch):
    watch.store.add(event(1), NO_MEDIA)
    unknown = announcer(last="nonsense", count=1, add=[event(2)])
    assert fields(unknown[1])["id"] == event(2).key


def test_stream_shows_that_it_lives(announcer, monkeypatch):
    monkeypatch.setattr(stream, "HEARTBEAT", 0.01)
    assert announcer(count=2)[1:] == [": still here\n\n"] * 2


def test_slow_listener_is_cut_off_and_may_come_back(watch):
    app = create_app(watch, ServeConfig())
    announcer = app.state.announcer

    async def slow(_client):
        messages = announcer.messages(None, None)
        await anext(messages)
        while watch.subscription.events.empty():
            for number in range(stream._BACKLOG + 5):
                watch.subscription.events.put(event(number))
        await until_empty(watch.subscription.events)
        return [text async for text in messages]

    with Client(app) as client:
        assert client.run(slow) == []
        assert not announcer._queues


async def until_empty(events):
    while not events.empty():
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)


def test_streams_are_counted(watch, monkeypatch):
    monkeypatch.setattr(stream, "MAX_STREAMS", 0)
    with Client(create_app(watch, ServeConfig())) as client:
        refused(client.get("/v1/events/stream"), 503, "too_many_streams")


# cameras


def test_cameras_tell_how_they_are(client, watch):
    watch.cameras = (status(), status("yard", State.RECONNECTING, problem="no answer"))
    gate, yard = client.get("/v1/cameras").json()["cameras"]
    assert (gate["camera"], gate["state"], gate["problem"]) == ("gate", "running", None)
    assert gate["view"]["plates"][0]["text"] == "WOBAB12"
    assert gate["view"]["plates"][0]["quad"][2] == [90.0, 60.0]
    assert (gate["view"]["width"], gate["view"]["height"]) == (160, 120)
    assert (yard["state"], yard["problem"], yard["view"]) == ("reconnecting", "no answer", None)


def test_cameras_have_what_is_described(client):
    body = client.get("/v1/cameras").json()
    described = answers.Cameras.model_validate(body)
    assert described.model_dump(mode="json") == body


def test_latency_is_told_beside_the_budget(client, watch):
    watch.latest["gate"] = view(read=2)  # and one of them tracked
    latency = client.get("/v1/cameras").json()["cameras"][0]["view"]["latency"]
    assert latency["detection"] == {
        "ms": 23.0, "budget_ms": budget.DETECTION_BUDGET_MS,
        "stages": {"letterbox": 1.25, "detect": 20.0, "postprocess": 0.75, "closer": 1.0},
    }
    assert latency["reading"] == {  # of one of the two plates that were read
        "ms": 5.0, "budget_ms": budget.READING_BUDGET_MS,
        "stages": {"rectify": 0.25, "read": 4.5, "text": 0.25},
    }
    watch.latest["gate"] = view(ms={})
    assert client.get("/v1/cameras").json()["cameras"][0]["view"]["latency"] is None
    assert MS[Stage.DETECT] == 20.0


def decoded(answer: httpx.Response) -> np.ndarray:
    assert answer.headers["content-type"] == "image/jpeg"
    return cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_COLOR)


def test_picture_has_quads_and_texts(client, watch):
    path = "/v1/cameras/gate/picture"
    image = decoded(client.get(path))
    assert image.shape == (120, 160, 3)
    assert (abs(image.astype(int) - 90).max(axis=2) > 60).sum() > 200  # drawn on plain grey
    original: Plate = watch.latest["gate"].plates[0]
    assert original.text == "WOB AB 12"
    tag = client.get(path).headers["etag"]
    assert client.get(path, headers={"if-none-match": tag}).status_code == 304
    watch.latest["gate"] = view(number=8, plates=(), texts=())
    plain = decoded(client.get(path, headers={"if-none-match": tag}))
    assert (abs(plain.astype(int) - 90) < 5).all()


def test_wide_pictures_are_shrunk(client, watch):
    watch.latest["gate"] = view(image=np.zeros((1080, 1920, 3), np.uint8))
    assert decoded(client.get("/v1/cameras/gate/picture")).shape == (720, SCENE_WIDTH, 3)


def test_unknown_camera(client, watch):
    refused(client.get("/v1/cameras/nobody/picture"), 404, "no_picture")
    watch.latest = {}
    refused(client.get("/v1/cameras/gate/picture"), 404, "no_picture")


# health, documents, page


def test_ready_when_the_watch_is(client, watch):
    assert client.get("/readyz").json() == {"ready": True}
    watch.ready = False
    assert refused(client.get("/readyz"), 503, "not_ready")
    assert client.get("/healthz").status_code == 200


def test_metrics(client):
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert "alpr_edge_" in answer.text


def test_documents_name_every_address_and_load_nothing(client):
    schema = client.get("/openapi.json").json()
    page = client.get("/docs").text
    for path in ("/v1/read", EVENTS, f"{EVENTS}/stream", "/v1/cameras", "/readyz", "/metrics"):
        assert path in schema["paths"] and path in page
    assert "<script" not in page and "http://" not in page and "https://" not in page
    assert "integer, at least 1, at most 200, default 50" in page  # limit
    for name in re.findall(r'href="#(\w+)"', page):
        assert f'id="{name}"' in page
    assert "<code>char_confidences</code>" in page and "``" not in page


def test_page_has_nothing_from_elsewhere(client):
    page = client.get("/").text
    assert page.startswith("<!doctype html>")
    for file, kind in (("page.css", "text/css"), ("page.js", "text/javascript"),
                       ("icon.svg", "image/svg+xml")):
        assert f'"/page/{file}"' in page
        answer = client.get(f"/page/{file}")
        assert answer.headers["content-type"].startswith(kind)
        foreign = answer.text.replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in foreign and "https:" not in foreign
        assert "innerHTML" not in foreign
    assert "style=" not in page and "onclick" not in page and "<script>" not in page


def test_page_is_in_the_wheel():
    package = ROOT / "alpr_edge"
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"][
        "package-data"]["alpr_edge"]
    packaged = {file for pattern in patterns for file in package.glob(pattern)}
    assert set((package / "serve" / "page").iterdir()) <= packaged
