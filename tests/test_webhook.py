from __future__ import annotations

import socket
import threading
import time

import pytest
from certificates import make_certificates
from events import EVENT, MEDIA, ended, event, until
from receiver import Receiver

from alpr_edge.errors import UsageError
from alpr_edge.watch.backoff import Backoff
from alpr_edge.watch.config import StoreConfig, WebhookConfig
from alpr_edge.watch.event_json import event_json
from alpr_edge.watch.outbox import Courier, DeliveryError
from alpr_edge.watch.store import Store
from alpr_edge.watch.types import Media
from alpr_edge.watch.webhook import Webhook


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def webhook(receiver):
    webhook = Webhook(WebhookConfig(name="a", url=receiver.url, timeout=1.0))
    yield webhook
    webhook.close()


def refusal(webhook: Webhook) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        webhook.deliver(EVENT, MEDIA)
    return caught.value


def test_event_and_pictures_arrive_with_key_and_token(receiver, tmp_path):
    token = tmp_path / "token"
    token.write_text("secret \n")
    webhook = Webhook(WebhookConfig(name="a", url=receiver.url, token_file=token))
    webhook.deliver(EVENT, MEDIA)
    webhook.deliver(ended(EVENT), Media(crop=None, scene=MEDIA.scene))
    webhook.close()
    first, last = receiver.posted
    assert first.path == "/hook" and first.headers["Authorization"] == "Bearer secret"
    assert first.headers["User-Agent"].startswith("alpr-edge/")
    assert first.event == event_json(EVENT)
    assert first.parts["crop"] == MEDIA.crop and first.parts["scene"] == MEDIA.scene
    assert last.parts.keys() == {"event", "scene"}
    assert receiver.keys == [EVENT.key, ended(EVENT).key]


def test_pictures_can_be_kept_back(receiver):
    webhook = Webhook(WebhookConfig(name="a", url=receiver.url, pictures=False))
    webhook.deliver(EVENT, MEDIA)
    assert receiver.posted[0].parts.keys() == {"event"}
    assert "Authorization" not in receiver.posted[0].headers
    webhook.close()


@pytest.mark.parametrize(("status", "permanent"), [
    (400, True), (401, True), (404, True), (413, True), (422, True), (408, False), (429, False),
    (500, False), (503, False),
])
def test_which_answers_are_final(receiver, webhook, status, permanent):
    receiver.answers = [status]
    error = refusal(webhook)
    assert error.permanent is permanent and str(status) in str(error) and "told" in str(error)
    assert error.retry_after == 0


@pytest.mark.parametrize(("header", "seconds"), [
    ("7", 7), ("100000", 600), ("Wed, 21 Oct 2026 07:28:00 GMT", 0), ("-1", 0),
])
def test_the_receiver_may_say_how_long_to_wait(receiver, webhook, header, seconds):
    receiver.answers = [(429, {"Retry-After": header})]
    assert refusal(webhook).retry_after == seconds


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(receiver, webhook, status):
    other = Receiver()
    receiver.answers = [(status, {"Location": other.url})]
    error = refusal(webhook)
    other.close()
    assert error.permanent and other.url in str(error) and "set url to" in str(error)
    assert not other.posted


@pytest.mark.parametrize("start", ["https://me:hunter2@elsewhere", "", "//elsewhere"])
def test_a_redirect_is_told_without_its_secrets(receiver, start):
    webhook = Webhook(WebhookConfig(name="a", url=f"{receiver.url}?key=hunter2"))
    location = f"{start}/new?key=hunter2"
    receiver.answers = [(301, {"Location": location})]
    receiver.text = f'<a href="{location}">moved</a>'.encode()
    told = str(refusal(webhook))
    webhook.close()
    assert "hunter2" not in told and "/new;" in told and ("elsewhere" in told) == bool(start)


def test_a_redirect_to_nowhere_is_told(receiver, webhook):
    receiver.answers = [304]
    error = refusal(webhook)
    assert error.permanent and "answers 304; redirects are not followed" in str(error)


def test_a_header_that_cannot_be_sent_is_not_logged(receiver, webhook):
    webhook._client.headers["Authorization"] = "Bearer hunter2 "
    told = str(refusal(webhook))
    assert "(LocalProtocolError)" in told and "hunter2" not in told


def test_who_is_not_there_is_tried_again():
    webhook = Webhook(WebhookConfig(name="a", url="http://127.0.0.1:1/hook"))
    error = refusal(webhook)
    assert not error.permanent and "check the URL" in str(error)
    webhook.close()


def test_a_name_that_no_host_can_have_is_told():
    webhook = Webhook(WebhookConfig(name="a", url="http://gate..lan/hook"))
    error = refusal(webhook)
    assert not error.permanent and "gate..lan" in str(error) and "check the URL" in str(error)
    webhook.close()


def test_who_does_not_answer_in_time_is_tried_again():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        webhook = Webhook(WebhookConfig(name="a", url=url, timeout=0.2))
        error = refusal(webhook)
        webhook.close()
    assert not error.permanent and "ReadTimeout" in str(error)


def test_a_hostile_answer_is_not_read_to_its_end(receiver, webhook):
    receiver.answers = [(500, {"Content-Length": str(10**12)})]
    assert len(str(refusal(webhook))) < 1000


def test_no_proxy_of_the_environment_gets_the_event(receiver, webhook, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    fresh = Webhook(WebhookConfig(name="a", url=receiver.url))
    fresh.deliver(EVENT, MEDIA)
    fresh.close()
    assert receiver.keys == [EVENT.key]


@pytest.mark.external("openssl")
def test_the_certificate_is_checked(tmp_path, monkeypatch):
    certificates = make_certificates(tmp_path)
    receiver = Receiver(certificates=certificates)
    config = WebhookConfig(name="a", url=receiver.url)
    stranger = Webhook(config)
    error = refusal(stranger)
    assert not error.permanent and "CERTIFICATE_VERIFY_FAILED" in str(error)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificates.authority))
    trusting = Webhook(config)
    trusting.deliver(EVENT, MEDIA)
    elsewhere = receiver.url.replace("127.0.0.1", "localhost")
    wrong_name = Webhook(WebhookConfig(name="a", url=elsewhere))
    assert "CERTIFICATE_VERIFY_FAILED" in str(refusal(wrong_name))
    for webhook in (stranger, trusting, wrong_name):
        webhook.close()
    receiver.close()
    assert receiver.keys == [EVENT.key]


@pytest.mark.parametrize("url", [
    "ftp://example.org", "example.org/hook", "", "http://a:port", "http:///x",
])
def test_other_addresses_are_refused(url):
    with pytest.raises(UsageError, match="webhook a: url is .* http"):
        Webhook(WebhookConfig(name="a", url=url))


def test_a_token_that_no_header_can_have_is_told_without_it(tmp_path):
    token = tmp_path / "token"
    token.write_text("s\u00fcss")
    with pytest.raises(UsageError, match="printable ASCII is allowed") as caught:
        Webhook(WebhookConfig(name="a", url="https://example.org", token_file=token))
    assert "s\u00fcss" not in str(caught.value)


def test_secrets_of_the_address_and_lines_of_the_answer_are_not_logged(receiver):
    webhook = Webhook(WebhookConfig(name="a", url=f"{receiver.url}?token=secret"))
    receiver.answers = [(400, {})]
    receiver.text = b"no\nWARNING forged line"
    told = str(refusal(webhook))
    webhook.close()
    assert receiver.posted[0].path == "/hook?token=secret"
    assert "secret" not in told and "\n" not in told and told.endswith("no WARNING forged line")


@pytest.mark.parametrize("away", [1.0, pytest.param(60.0, marks=pytest.mark.slow)])
def test_a_receiver_that_is_away_and_comes_back_gets_everything_in_order_once(tmp_path, away):
    receiver = Receiver()
    store = Store(StoreConfig(path=tmp_path / "events.db"))
    webhook = Webhook(WebhookConfig(name="a", url=receiver.url))
    courier = Courier(store, webhook.target, webhook.deliver,
                      backoff=Backoff(first=0.05, limit=away / 5))
    courier.start()
    sent: list[str] = []

    def send(count: int) -> None:
        for _ in range(count):
            one = event(len(sent))
            for each in (one, ended(one)):
                store.add(each, MEDIA, [webhook.target])
                sent.append(each.key)

    send(5)
    until(lambda: len(receiver.posted) == 10)
    receiver.close()
    send(10)
    time.sleep(away)
    assert courier.problem is not None and courier.failures > 2
    back = Receiver(port=receiver.port)
    send(5)
    until(lambda: courier.delivered == len(sent), 2 * away + 10)
    assert receiver.keys + back.keys == sent
    assert store.outbox.backlogs() == {}
    courier.close()
    webhook.close()
    back.close()
    store.close()


def test_a_lost_answer_delivers_again_with_the_same_key(tmp_path):
    store = Store(StoreConfig(path=tmp_path / "events.db"))
    attempts = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve() -> None:
            for answer in (b"", b"HTTP/1.1 204 No Content\r\n\r\n"):
                connection, _ = server.accept()
                with connection:
                    attempts.append(connection.recv(1 << 16))
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        webhook = Webhook(WebhookConfig(name="a", url=url))
        courier = Courier(store, "a", webhook.deliver, backoff=Backoff(first=0.01))
        courier.start()
        store.add(EVENT, MEDIA, ["a"])
        until(lambda: courier.delivered == 1)
        thread.join()
    courier.close()
    webhook.close()
    store.close()
    assert len(attempts) == 2 and all(EVENT.key.encode() in attempt for attempt in attempts)
