"""The pages in a real browser without a network: Chromium, driven over its debugging pipe."""

import base64
import fcntl
import itertools
import json
import os
import select
import shutil
import subprocess
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

from radvit.records import Basis
from radvit.report.index import write_index
from radvit.report.json_form import to_dict
from radvit.report.write import write_study

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--hide-scrollbars"),
)
SECONDS = 60

pytestmark = pytest.mark.skipif(not os.access(CHROMIUM, os.X_OK), reason="Chromium is not installed")


class Browser:
    """One tab of a headless Chromium: what it is told, what it asked for, and what went wrong."""

    def __init__(self, profile):
        (self.inward, write), (read, self.outward) = os.pipe(), os.pipe()
        far = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (read, write)]
        for fd in (read, write):
            os.close(fd)
        pipes = f'exec "$@" 3<&{far[0]} 4>&{far[1]}'
        told = (CHROMIUM, *FLAGS, f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank")
        self.process = subprocess.Popen(
            ("bash", "-c", pipes, "bash", *told), pass_fds=far, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for fd in far:
            os.close(fd)
        self.numbers, self.rest, self.session, self.events = itertools.count(1), b"", None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def _message(self):
        until = time.monotonic() + SECONDS
        while b"\0" not in self.rest:
            assert select.select([self.inward], [], [], until - time.monotonic())[0], "Chromium does not answer"
            data = os.read(self.inward, 1 << 20)
            assert data, "Chromium ended"
            self.rest += data
        message, _, self.rest = self.rest.partition(b"\0")
        return json.loads(message)

    def call(self, method, **params):
        """A command of the DevTools protocol, and its answer."""
        number = next(self.numbers)
        command = {"id": number, "method": method, "params": params}
        command |= {"sessionId": self.session} if self.session else {}
        os.write(self.outward, json.dumps(command).encode() + b"\0")
        while (message := self._message()).get("id") != number:
            self.events.append(message)
        assert "error" not in message, message
        return message["result"]

    def open(self, path, width=1280, height=900, script=True):
        """Show a file, and wait until it has loaded."""
        self.events.clear()
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Page.navigate", url=path.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._message())

    def run(self, code):
        """The value of an expression on the page."""
        answer = self.call("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def at(self, selector):
        """The middle of an element in the window, which it is scrolled into."""
        return self.run(
            f"(() => {{ const e = document.querySelector('{selector}'); e.scrollIntoView({{block: 'center'}});"
            + "const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )

    def mouse(self, kind, x, y, **more):
        told = {"button": "left", "buttons": int(kind != "mouseReleased"), "clickCount": 1} | more
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **told)

    def move(self, selector):
        self.mouse("mouseMoved", *self.at(selector), button="none", buttons=0)

    def click(self, selector):
        place = self.at(selector)
        self.mouse("mousePressed", *place)
        self.mouse("mouseReleased", *place)

    def key(self, key, **more):
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text, **more)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, **more)

    def pixels(self):
        """A screenshot, (rows, columns, 3) uint8."""
        png = base64.b64decode(self.call("Page.captureScreenshot")["data"])
        return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)

    def troubles(self):
        """Errors on the console, and requests for anything but the file and what it holds itself."""
        self.run("1")
        wrong = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        asked = [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]
        assert asked
        said = [event for event in self.events if event["method"] in wrong]
        return said + [url[:80] for url in asked if not url.startswith(("file:", "data:image/jpeg"))]

    def close(self):
        self.call("Browser.close")
        self.process.wait(SECONDS)
        os.close(self.inward)
        os.close(self.outward)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    tab = Browser(tmp_path_factory.mktemp("profile"))
    yield tab
    tab.close()


@pytest.fixture
def page(make, tmp_path):
    """Writes a report of three findings on two images, and gives its page."""

    def build(language="en"):
        found = [
            make.finding(0.91, box=(100.0, 150.0, 200.0, 250.0), contrast=1.2),
            replace(make.finding(0.62, "mass", (380.0, 500.0, 470.0, 640.0), 28.0), basis=Basis.ATTENTION),
        ]
        report = make.report(found, [make.finding(0.4, "effusion", (300.0, 300.0, 500.0, 600.0), 40.0)])
        write_study(tmp_path / "2.25.10", report, make.study(2).images, language)
        return tmp_path / "2.25.10" / "report.html"

    return build


def placed(browser, number, box):
    """Where a mark's box lies in the window, and where it should: over its part of the picture of 600 x 800 pixels."""
    picture, mark = (
        browser.run(f"(({{x, y, width, height}}) => [x, y, width, height])({element}.getBoundingClientRect())")
        for element in ("document.querySelector('.layer img')", f"document.querySelector('#mark-{number} .box')")
    )
    scale = picture[2] / 600
    assert picture[3] == pytest.approx(800 * scale, abs=1)
    x1, y1, x2, y2 = box
    return mark, [picture[0] + x1 * scale, picture[1] + y1 * scale, (x2 - x1) * scale, (y2 - y1) * scale]


BOXES = "getComputedStyle(document.querySelector('.marks')).display"
WIDTH = "document.querySelector('.layer').clientWidth"


def test_boxes_lie_on_the_picture_and_can_be_switched_off(browser, page):
    browser.open(page())
    for _ in range(3):
        there, wanted = placed(browser, 1, (100, 150, 200, 250))
        assert there == pytest.approx(wanted, abs=1)
        browser.click("[data-zoom=in]")
    for state, shown in (("false", "none"), ("true", "block")):
        browser.click(".boxes")
        assert browser.run("document.querySelector('.boxes').ariaPressed") == state
        assert (browser.run(BOXES) == "none") == (shown == "none")
    assert browser.troubles() == []


def test_sliders_change_the_greys_of_every_picture(browser, page):
    browser.open(page())
    filters = "[...document.querySelectorAll('.layer img')].map(i => getComputedStyle(i).filter)"
    assert browser.run(filters) == ["none"] * 2
    browser.run("document.querySelector('[name=brightness]').focus()")
    for _ in range(4):
        browser.key("ArrowRight", windowsVirtualKeyCode=39)
    assert browser.run(filters) == ["brightness(1.2) contrast(1)"] * 2
    browser.click(".reset")
    assert browser.run(filters) == ["none"] * 2
    assert browser.run("document.querySelector('[name=brightness]').value") == "100"
    assert browser.troubles() == []


def test_a_picture_can_be_zoomed_and_moved(browser, page):
    browser.open(page())
    before, height = browser.run(WIDTH), browser.run("document.querySelector('.stage').clientHeight")
    for _ in range(4):
        browser.click("[data-zoom=in]")
    assert browser.run(WIDTH) == pytest.approx(before * 1.25**4, abs=2)
    assert browser.run("document.querySelector('.stage').clientHeight") == height
    places = "(() => { const s = document.querySelector('.stage'); return [s.scrollLeft, s.scrollTop]; })()"
    start, (x, y) = browser.run(places), browser.at(".stage")
    browser.mouse("mouseMoved", x, y, button="none", buttons=0)
    browser.mouse("mousePressed", x, y)
    browser.mouse("mouseMoved", x - 30, y - 20)
    browser.mouse("mouseReleased", x - 30, y - 20)
    assert browser.run(places) == pytest.approx([start[0] + 30, start[1] + 20], abs=1)
    browser.click("[data-zoom=fit]")
    assert browser.run(WIDTH) == before
    browser.run("document.querySelector('.stage').focus()")
    for key, factor in (("+", 1.25), ("+", 1.25**2), ("-", 1.25), ("0", 1)):
        browser.key(key)
        assert browser.run(WIDTH) == pytest.approx(before * factor, abs=2)
    browser.mouse("mouseWheel", *browser.at(".stage"), deltaX=0, deltaY=-100, modifiers=2, button="none", buttons=0)
    assert browser.run(WIDTH) == pytest.approx(before * 1.25, abs=2)
    assert browser.run("document.querySelectorAll('.layer')[1].style.width") == ""
    assert browser.troubles() == []


def test_a_finding_and_its_box_light_each_other_up(browser, page):
    browser.open(page())
    lit = "[...document.querySelectorAll('.lit')].map(e => e.tagName + e.dataset.finding).sort()"
    browser.move(".findings li:nth-child(2)")
    assert browser.run(lit) == ["LI2", "g2"]
    browser.move("#mark-1")
    assert browser.run(lit) == ["LI1", "g1"]
    browser.move("h1")
    assert browser.run(lit) == []
    browser.run("document.querySelector('#mark-3').focus()")
    time.sleep(0.3)  # the page has scrolled, and told the pointer, which did not move, what lies under it now
    assert browser.run("scrollY") > 0
    assert browser.run(lit) == ["LI3", "g3"]
    browser.move("#mark-2")
    assert browser.run(lit) == ["LI2", "g2"]
    assert browser.run("document.querySelector('#mark-3 title').textContent").startswith("3. Pleural effusion")
    assert browser.troubles() == []


@pytest.mark.parametrize("width", [400, 1280])
def test_a_report_fits_its_window_with_and_without_script(browser, page, width):
    path = page()
    for script in (True, False):
        browser.open(path, width, script=script)
        assert browser.run("document.documentElement.scrollWidth") <= width
        assert browser.run(BOXES) != "none"
        hidden = "[...document.querySelectorAll('.tools')].every(e => e.hidden)"
        assert browser.run(hidden) is not script
    assert browser.troubles() == []


def test_print_shows_boxes_and_no_controls(browser, page):
    browser.open(page())
    browser.click(".boxes")
    browser.click("[data-zoom=in]")
    browser.call("Emulation.setEmulatedMedia", media="print")
    try:
        assert browser.run(BOXES) != "none"
        assert browser.run("getComputedStyle(document.querySelector('.tools')).display") == "none"
        assert browser.run("document.querySelector('.layer img').clientHeight") <= 417  # 110 mm
        assert len(base64.b64decode(browser.call("Page.printToPDF")["data"])) > 5000
    finally:
        browser.call("Emulation.setEmulatedMedia", media="")


def has_chinese_fonts():
    lister = shutil.which("fc-list")
    return bool(lister and subprocess.run((lister, ":lang=zh-cn"), capture_output=True, check=False).stdout)


@pytest.mark.skipif(not has_chinese_fonts(), reason="no font with Chinese characters is installed")
def test_chinese_characters_are_drawn(browser, page):
    browser.open(page("zh"))
    seen = []
    for text in ("结", "肿", "\U0003fffd"):  # the last is no character, so a box stands for it
        browser.run(
            "(() => { document.body.innerHTML = ''; const p = document.createElement('h1');"
            f"p.textContent = '{text}'; document.body.append(p); }})()"
        )
        seen.append(browser.pixels()[:60, :60])
    assert all((a != b).any() for a, b in itertools.combinations(seen, 2))


@pytest.fixture
def index(make, tmp_path):
    """Writes the index of some studies, and gives its page."""

    def build(n=6):
        rng = np.random.default_rng(0)
        for i in range(n):
            scores = rng.uniform(0.3, 1, i % 4)
            report = make.report([make.finding(float(score)) for score in scores], age=f"{20 + i % 70:03}Y")
            (tmp_path / f"2.25.{i}").mkdir()
            (tmp_path / f"2.25.{i}" / "findings.json").write_text(json.dumps(to_dict(report)))
            (tmp_path / f"2.25.{i}" / "report.html").touch()
        write_index(tmp_path, "en")
        return tmp_path / "index.html"

    return build


def column(browser, number):
    """The texts of a column's shown cells."""
    cells = f"[...document.querySelectorAll('tbody tr:not([hidden]) td:nth-child({number})')].map(e => e.textContent)"
    return browser.run(cells)


def test_the_index_sorts(browser, index):
    browser.open(index())
    assert column(browser, 2) == sorted(column(browser, 2), reverse=True)
    browser.click("th:nth-child(2) button")
    assert column(browser, 2)[:4] == sorted(column(browser, 2)[:4], reverse=True)
    browser.click("th:nth-child(2) button")
    scores = column(browser, 2)
    assert scores[:4] == sorted(scores[:4])
    assert scores[4:] == ["", ""]  # what isn't known comes last
    browser.click("th:nth-child(7) button")
    assert column(browser, 7) == [f"{n} years" for n in range(25, 19, -1)]
    assert browser.run("[...document.querySelectorAll('th')].map(e => e.ariaSort)") == [
        "descending" if n == 6 else None for n in range(11)
    ]
    assert browser.troubles() == []


def test_the_index_filters(browser, index):
    browser.open(index())
    shown = "document.querySelector('.shown').textContent"
    assert browser.run(shown) == "6 of 6 studies shown"
    browser.click("[name=band][value=none]")
    assert browser.run(shown) == "4 of 6 studies shown"
    browser.run("document.querySelector('[name=text]').focus()")
    for key in "23 YEARS":
        browser.key(key)
    assert browser.run(shown) == "1 of 6 studies shown"
    assert column(browser, 7) == ["23 years"]
    assert browser.troubles() == []


def test_the_index_is_a_table_without_script(browser, index):
    browser.open(index(), 400, script=False)
    assert len(column(browser, 1)) == 6
    assert browser.run("document.querySelectorAll('button, .tools:not([hidden])').length") == 0
    assert browser.run("document.documentElement.scrollWidth") <= 400


def test_five_hundred_studies_open_and_sort(browser, index):
    path = index(500)
    browser.open(path)
    assert len(column(browser, 1)) == 500
    browser.click("th:nth-child(5) button")
    assert len(column(browser, 1)) == 500
    took = browser.run("performance.getEntriesByType('navigation')[0].loadEventEnd")
    print(f"500 studies open in {took:.0f} ms")  # noqa: T201
    assert browser.troubles() == []
