"""The live page in headless Chromium. Screenshots to look at are left in out/page."""

from __future__ import annotations

import time
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from chromium import Browser
from conftest import ROOT
from events import MEDIA, NO_MEDIA, ended, event
from serve_fakes import MS, FakeWatch, jpeg, plate, status, view

from alpr_edge.images import load_image
from alpr_edge.serve.app import create_app
from alpr_edge.serve.server import Server
from alpr_edge.stages import Stage
from alpr_edge.watch.config import ServeConfig
from alpr_edge.watch.types import Access, Known, Media, State

pytestmark = [pytest.mark.external("chromium"), pytest.mark.slow]
SHOTS = ROOT / "out" / "page"
TOKEN = "correct horse battery"
ROWS = "[...document.querySelectorAll('.event .plate')].map(e => e.textContent)"
SIZES = {"desk": (1440, 900), "phone": (390, 844), "narrow": (320, 640)}


@pytest.fixture(scope="module")
def chromium(tmp_path_factory) -> Iterator[Browser]:
    SHOTS.mkdir(parents=True, exist_ok=True)
    with Browser(tmp_path_factory.mktemp("profile"), *SIZES["desk"]) as browser:
        yield browser


@pytest.fixture
def browser(chromium):
    chromium.complaints.clear()
    chromium.size(*SIZES["desk"])
    chromium.scheme("light")
    yield chromium
    assert not chromium.complaints


@pytest.fixture
def watch(tmp_path) -> FakeWatch:
    """Three cameras, one of them away, and five plates of the demo pictures."""
    watch = FakeWatch(tmp_path)
    several = load_image(ROOT / "docs" / "demo" / "several.jpg")
    quad = ((330.0, 930.0), (440.0, 930.0), (440.0, 960.0), (330.0, 960.0))
    watch.cameras = (
        status(), status("yard", State.RECONNECTING, fps=0.0, problem="yard: no answer from "
                         "rtsp://192.168.1.11/stream1; check its power and network"),
        status("barrier", State.STARTING, fps=0.0),
    )
    slow = MS | {Stage.DETECT: 131.0}
    watch.latest = {
        "gate": view(image=several, plates=(plate(quad=quad),)),
        "yard": view("yard", image=several, plates=(), texts=(), ms=slow),
    }
    media = Media(crop=jpeg(np.full((48, 192, 3), 200, np.uint8)), scene=jpeg(several))
    listed = [None, Known(text="B", access=Access.ALLOW, label="Milk van", distance=0),
              Known(text="C", access=Access.DENY, label="", distance=1)]
    for number, text in enumerate(["WOBAB12", "皖A12345", "29BHJ54", "PN03MXI", "川YV990警"]):
        now = time.time() - 60 * (5 - number)
        watch.add(ended(event(
            number, text=text, char_confidences=(0.99,) * len(text), known=listed[number % 3],
            first_seen=now, last_seen=now + 2, camera="gate", confidence=0.5 + number / 10,
            correction=None, quad=quad, width=1920, height=1080,
        )), media)
    return watch


@pytest.fixture
def page(watch, browser) -> Iterator[Browser]:
    """The page with everything of ``watch`` on it."""
    with Server(create_app(watch, ServeConfig()), host="127.0.0.1", port=0) as server:
        browser.open(server.url)
        browser.wait("document.querySelectorAll('.event .crop[src]').length === 5")
        browser.wait("!document.getElementById('picture').hidden")
        yield browser


def pixels(browser: Browser, name: str) -> np.ndarray:
    """A screenshot, kept."""
    time.sleep(0.4)  # a colour's transition
    return cv2.imread(str(browser.shot(SHOTS / f"{name}.png")))


@pytest.mark.parametrize("size", SIZES)
def test_fits_every_width_in_light_and_dark(page, size):
    width, height = SIZES[size]
    page.size(width, height)
    light = pixels(page, f"{size}-light")
    page.scheme("dark")
    dark = pixels(page, f"{size}-dark")
    assert light.shape == dark.shape == (height, width, 3)
    assert light[-3, 3].min() > 200 > 60 > dark[-3, 3].max()  # the ground
    assert page.run("document.documentElement.scrollWidth") == width
    small = page.run("[...document.querySelectorAll('button, input:not(.unseen), select')]"
                     ".filter(e => e.offsetParent && e.offsetHeight < 36).length")
    assert small == 0


def test_switch_overrules_the_system_and_is_kept(page):
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.run(ground)
    page.run("theme.click(); theme.click()")
    assert page.run(ground) != light and page.run("localStorage.theme") == "dark"
    page.call("Page.reload")
    page.wait(f"document.getElementById('theme') && {ground} !== {light!r}")
    page.run("localStorage.clear()")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read(page, scheme):
    """WCAG 2.2, 1.4.3: 4.5 times the luminance, of each text colour on each ground."""
    page.scheme(scheme)
    rgb = page.run("""(() => {
      const probe = document.body.appendChild(document.createElement("i"));
      const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
      const names = ["ink", "soft", "accent", "good", "warn", "bad", "surface", "ground", "raised"];
      return Object.fromEntries(names.map((name) => {
        probe.style.color = `var(--${name})`;
        canvas.fillStyle = getComputedStyle(probe).color;
        canvas.fillRect(0, 0, 1, 1);
        return [name, [...canvas.getImageData(0, 0, 1, 1).data.slice(0, 3)]];
      }));
    })()""")

    def luminance(name: str) -> float:
        share = np.array(rgb[name]) / 255
        linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        return float(linear @ (0.2126, 0.7152, 0.0722)) + 0.05

    for text in ("ink", "soft", "accent", "good", "warn", "bad"):
        for ground in ("surface", "ground", "raised"):
            contrast = luminance(text) / luminance(ground)
            assert max(contrast, 1 / contrast) >= 4.5, (text, ground)


def test_works_with_the_keyboard_alone(page):
    page.key("/")
    assert page.run("document.activeElement.id") == "text"
    page.type("皖a1")
    page.wait(f"{ROWS}.length === 1 && {ROWS}[0] === '皖A12345'")
    page.key("Escape")
    page.wait(f"{ROWS}.length === 5")
    page.key("ArrowDown")
    page.key("ArrowDown")
    page.key("End")
    page.key("ArrowUp")
    focused = "document.activeElement.querySelector('.plate')?.textContent"
    assert page.run(focused) == "皖A12345"
    outline = page.run("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    page.key("Enter")
    page.wait("details.open && !document.getElementById('scene-box').hidden")
    pixels(page, "details")
    facts = page.run("document.getElementById('facts').innerText")
    assert "Milk van" in facts and "4 of 5 reads agree" in facts
    page.key("Escape")
    page.wait("!details.open")
    assert page.run(focused) == "皖A12345"
    page.key("Home")
    page.key("ArrowUp")
    assert page.run("document.activeElement.id") == "text"


def test_cameras_are_tabs(page):
    page.run("document.querySelector('#cameras [aria-selected=true]').focus()")
    page.key("ArrowRight")
    page.wait("!problem.hidden && problem.textContent.includes('no answer')")
    page.wait("verdict.textContent === 'Over the budget'")
    page.wait("!picture.hidden")
    assert "134.0 ms" in page.run("bars.innerText")
    pixels(page, "camera-away")
    page.key("ArrowRight")
    page.wait("picture.hidden && document.getElementById('no-picture').innerText"
              ".includes('Waiting for the first frame')")
    assert page.run("document.querySelectorAll('#cameras [tabindex=\"0\"]').length") == 1


def test_new_plates_appear_and_are_said(page, watch):
    first = event(50, text="NEW123", camera="yard", known=None, last_seen=time.time())
    watch.add(first)
    page.wait(f"{ROWS}[0] === 'NEW123'")
    page.wait("announcer.textContent === 'Plate N E W 1 2 3 at yard'")
    page.wait("document.querySelector('.when').textContent.includes('here now')")
    watch.add(ended(first, text="NEW124"))
    page.wait(f"{ROWS}[0] === 'NEW124' && {ROWS}.length === 6")
    page.run("document.getElementById('access').value = 'deny';"
             "search.dispatchEvent(new Event('input'))")
    page.wait(f"{ROWS}.length === 1")
    watch.add(event(51, text="OTHER1", known=None))
    watch.add(event(52, text="DENIED1", known=Known(
        text="DENIED1", access=Access.DENY, label="", distance=0)))
    page.wait(f"{ROWS}.length === 2 && {ROWS}[0] === 'DENIED1'")


def test_more_goes_on_where_a_long_list_was_cut(page, watch):
    for number in range(100, 403):
        watch.add(event(number, text=f"N{number}", known=None))
    page.wait(f"{ROWS}.length === 300 && {ROWS}[0] === 'N402'")
    page.run("document.getElementById('more').click()")
    page.wait(f"{ROWS}.length === 308")
    assert page.run(ROWS)[299:] == ["N103", "N102", "N101", "N100", "川YV990警", "PN03MXI",
                                    "29BHJ54", "皖A12345", "WOBAB12"]


def test_search_without_a_hit(page):
    page.run("text.focus()")
    page.type("ZZZ")
    page.wait("document.getElementById('no-events').innerText.includes('No plate matches “ZZZ”')")
    pixels(page, "no-hit")


def test_everything_has_a_name(page):
    """The tree that a screen reader gets."""
    page.call("Accessibility.enable")
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    page.call("Accessibility.disable")
    named = {"button", "tab", "searchbox", "combobox", "image", "textbox", "tablist"}
    seen = [(node["role"]["value"], node.get("name", {}).get("value")) for node in nodes
            if not node.get("ignored") and node["role"]["value"] in named]
    assert {"button", "tab", "searchbox", "combobox", "image"} <= {role for role, _ in seen}
    assert not [role for role, name in seen if not name]


def test_texts_are_never_html(watch, browser):
    evil = "<img src=x onerror=alert(1)>"
    watch.cameras = (status(problem=evil),)
    with Server(create_app(watch, ServeConfig()), host="127.0.0.1", port=0) as server:
        browser.open(server.url)
        browser.wait("document.querySelectorAll('.event').length === 5")
        known = Known(text="A", access=Access.ALLOW, label=evil, distance=0)
        watch.add(event(60, text="A", known=known, region=evil), NO_MEDIA)
        browser.wait(f"document.querySelector('.badge').textContent === {evil!r}")
        browser.wait(f"problem.textContent === {evil!r}")
        browser.run("document.querySelector('.event').click()")
        browser.wait("details.open")
        assert browser.run("document.querySelectorAll('img[src=x]').length") == 0


def test_nothing_to_show_yet(tmp_path, browser):
    watch = FakeWatch(tmp_path)
    watch.cameras, watch.latest = (), {}
    with Server(create_app(watch, ServeConfig()), host="127.0.0.1", port=0) as server:
        browser.open(server.url)
        browser.wait("!document.getElementById('no-events').hidden")
        browser.wait("document.body.innerText.includes('No camera')")
        said = browser.run("document.body.innerText")
        for text in ("No camera is configured", "No plate yet", "No frame was searched yet"):
            assert text in said
        pixels(browser, "empty")


def test_without_a_store_new_plates_are_shown(browser):
    watch = FakeWatch()
    with Server(create_app(watch, ServeConfig()), host="127.0.0.1", port=0) as server:
        browser.open(server.url)
        browser.wait("count.textContent.includes('no store')")
        watch.add(event(1), MEDIA)
        browser.wait(f"{ROWS}.length === 1")


def test_token_is_asked_for_once_and_never_in_an_address(watch, browser, tmp_path):
    (tmp_path / "token").write_text(TOKEN)
    config = ServeConfig(token_file=tmp_path / "token")
    with Server(create_app(watch, config), host="127.0.0.1", port=0) as server:
        browser.open(server.url)
        browser.wait("document.getElementById('lock').open")
        browser.type("wrong")
        browser.key("Enter")
        browser.wait("!wrong.hidden")
        pixels(browser, "locked")
        browser.type(TOKEN)
        browser.key("Enter")
        browser.wait("document.querySelectorAll('.event .crop[src]').length === 5")
        browser.wait("!picture.hidden && !document.getElementById('lock').open")
        browser.call("Page.reload")
        browser.wait("document.querySelectorAll('.event .crop[src]').length === 5")
        addresses = browser.run("performance.getEntriesByType('resource').map(e => e.name).join()")
        assert "/v1/events" in addresses and "correct" not in addresses
        assert browser.run("document.cookie") == ""


def test_says_when_the_service_is_away_and_comes_back(watch, browser):
    server = Server(create_app(watch, ServeConfig()), host="127.0.0.1", port=0)
    with server:
        browser.open(server.url)
        browser.wait("document.querySelectorAll('.event .crop[src]').length === 5")
    browser.wait("!document.getElementById('alert').hidden && "
                 "connection.textContent.includes('Offline')")
    pixels(browser, "away")
    missed = event(70, text="MISSED1")
    watch.add(missed)
    watch.subscription.events.get()
    port = int(server.url.rpartition(":")[2])
    with Server(create_app(watch, ServeConfig()), host="127.0.0.1", port=port):
        browser.wait("document.getElementById('alert').hidden")
        browser.wait(f"{ROWS}[0] === 'MISSED1'")
