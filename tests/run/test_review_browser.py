"""The reviewing pages in a real browser: boxes moved, resized and drawn, over HTTP on this machine alone."""

import json
import os
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
import uvicorn

from radvit.report.wording import LANGUAGES
from radvit.report.write import write_study
from radvit.run.reviewing import Desk, application

from ..report.conftest import finding, on, report, study
from ..report.test_browser import CHROMIUM, Browser

pytestmark = pytest.mark.skipif(not os.access(CHROMIUM, os.X_OK), reason="Chromium is not installed")

NAME = "2.25.10"
COLUMNS, ROWS = 600, 800
FIRST = [100.0, 150.0, 200.0, 250.0]
ARROWS = {"ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
SHIFT = 8  # of the DevTools protocol


class Blank:
    """A page of nothing."""

    @staticmethod
    def as_uri():
        return "about:blank"


class Page:
    """A study's page in the browser, told in pixels of the original image."""

    def __init__(self, browser, address, output):
        self.browser, self.address, self.output = browser, address, output

    def as_uri(self):
        return f"{self.address}/study/{NAME}"

    def open(self, *size, image=1, **more):
        self.browser.open(self, *size, **more)
        self.see(image)

    def mark(self, number):
        """Where a finding's mark lies: left, top, width, height."""
        values = "(b => [b.x, b.y, b.width, b.height].map(v => v.baseVal.value))"
        return self.browser.run(f"{values}(document.querySelector('#mark-{number} .box'))")

    def box(self, number):
        """The numbers in a finding's form; they are also where its mark lies."""
        field = f"document.querySelector('form[data-number=\"{number}\"] [name=box]').value"
        box = [float(part) for part in self.browser.run(field).split(",")]
        x, y, width, height = self.mark(number)
        assert [x, y, x + width, y + height] == pytest.approx(box, abs=0.01)
        return box

    def at(self, x, y, image=1):
        """Where a pixel of the original lies in the window, by the picture itself."""
        picture = f"document.querySelector('[src$=\"image-{image}.jpg\"]').getBoundingClientRect()"
        left, top, width = self.browser.run(f"(b => [b.x, b.y, b.width])({picture})")
        return left + x * width / COLUMNS, top + y * width / COLUMNS

    def see(self, image):
        self.browser.run(f"document.querySelector('[src$=\"image-{image}.jpg\"]').scrollIntoView({{block: 'center'}})")

    def drag(self, start, end, image=1):
        """Press at one pixel, go to another by way of the middle, and let go."""
        (a, b), (c, d) = self.at(*start, image), self.at(*end, image)
        self.browser.mouse("mouseMoved", a, b, button="none", buttons=0)
        self.browser.mouse("mousePressed", a, b)
        self.browser.mouse("mouseMoved", (a + c) / 2, (b + d) / 2)
        self.browser.mouse("mouseMoved", c, d)
        self.browser.mouse("mouseReleased", c, d)

    def action(self, number):
        checked = f"document.querySelector('form[data-number=\"{number}\"] [name=action]:checked')?.value ?? ''"
        return self.browser.run(checked)

    def press(self, key, times=1, **more):
        for _ in range(times):
            self.browser.key(key, **{"windowsVirtualKeyCode": ARROWS.get(key, 0)} | more)

    def send(self, number):
        """Send a finding's form, and wait for the page that answers."""
        form = f"document.querySelector('form[data-number=\"{number}\"]')"
        self.browser.run(f"{form}.elements.by.value = 'Dr Who'")
        self.browser.events.clear()
        self.browser.click(f'form[data-number="{number}"] button:not([type])')
        while not any(event["method"] == "Page.loadEventFired" for event in self.browser.events):
            self.browser.events.append(self.browser._message())
        return json.loads((self.output / NAME / "review.json").read_text())["entries"]

    def troubles(self):
        """Errors on the console, and requests for anything but this server and a data URI."""
        return [one for one in self.browser.troubles() if not str(one).startswith(self.address + "/")]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    tab = Browser(tmp_path_factory.mktemp("profile"))
    yield tab
    tab.close()


@contextmanager
def serving(output, language):
    """The address of a desk's pages."""
    told = {"host": "127.0.0.1", "port": 0, "log_level": "error", "access_log": False}
    server = uvicorn.Server(uvicorn.Config(application(Desk(output, language)), **told))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server ended"
            time.sleep(0.01)
        (port,) = {end.getsockname()[1] for one in server.servers for end in one.sockets}
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)


@pytest.fixture(scope="module")
def served(browser, tmp_path_factory):
    """A study of two images, with a large and a small finding on the first and one on the second, served."""
    output = tmp_path_factory.mktemp("reports")
    found = [finding(0.91, box=tuple(FIRST)), finding(0.5, box=(400.0, 600.0, 412.0, 610.0))]
    images = study(2).images
    for image in images:
        image.picture[:] = np.random.default_rng(0).integers(0, 255, image.picture.shape)
    write_study(output / NAME, report(found, on([finding(0.4)], 1)), images, "en")
    with serving(output, "en") as address:
        yield Page(browser, address, output)
        browser.open(Blank)  # or its connection keeps the server


@pytest.fixture
def page(served):
    """The same for each test, with nothing decided."""
    (served.output / NAME / "review.json").unlink(missing_ok=True)
    yield served
    served.browser.run("document.querySelectorAll('form').forEach(form => form.reset())")  # nothing to be asked about


@pytest.mark.parametrize("size", [(1280, 900), (400, 900), (1733, 700)])
def test_a_drag_moves_a_box_by_the_pixels_that_it_went(page, size):
    page.open(*size)
    page.drag((150, 200), (271, 263))
    assert page.box(1) == [221.0, 213.0, 321.0, 313.0]
    assert page.action(1) == "edit"
    assert page.action(2) == ""
    page.drag((271, 263), (150, 200))
    assert page.box(1) == FIRST
    assert page.troubles() == []


@pytest.mark.parametrize(
    ("start", "end", "box"),
    [
        ((100, 200), (63, 290), [63.0, 150.0, 200.0, 250.0]),
        ((200, 200), (263, 90), [100.0, 150.0, 263.0, 250.0]),
        ((150, 150), (90, 110), [100.0, 110.0, 200.0, 250.0]),
        ((150, 250), (90, 310), [100.0, 150.0, 200.0, 310.0]),
        ((101, 151), (81, 121), [80.0, 120.0, 200.0, 250.0]),
        ((199, 249), (209, 299), [100.0, 150.0, 210.0, 300.0]),
        ((100, 200), (500, 200), [199.0, 150.0, 200.0, 250.0]),  # an edge stops before the other
        ((200, 250), (900, 1000), [100.0, 150.0, 600.0, 800.0]),  # and at the image's end
        ((150, 200), (-400, 210), [0.0, 160.0, 100.0, 260.0]),  # a box is moved whole
        ((150, 200), (660, 900), [500.0, 700.0, 600.0, 800.0]),
    ],
)
def test_edges_and_corners_resize_and_the_image_ends_it(page, start, end, box):
    page.open(1280, 1300)
    page.drag(start, end)
    assert page.box(1) == box
    assert page.troubles() == []


def test_a_pixel_is_a_pixel_at_every_zoom(page):
    page.open()
    page.browser.run("document.querySelector('#mark-2').focus()")
    for _ in range(4):
        page.browser.click("[data-zoom=in]")
    page.browser.run("document.querySelector('.stage').scrollIntoView()")
    left, _ = page.at(0, 0)
    right, _ = page.at(1, 0)
    assert right - left > 4
    page.drag((406, 605), (407, 605))
    assert page.box(2) == [401.0, 600.0, 413.0, 610.0]
    page.drag((413, 610), (416, 611))
    assert page.box(2) == [401.0, 600.0, 416.0, 611.0]
    page.browser.click("[data-zoom=fit]")
    assert page.box(2) == [401.0, 600.0, 416.0, 611.0]
    assert page.troubles() == []


def test_what_was_dragged_is_what_is_sent(page):
    page.open()
    page.drag((150, 200), (160, 205))
    (entry,) = page.send(1)
    assert (entry["number"], entry["action"], entry["by"]) == (1, "edit", "Dr Who")
    assert entry["box_px"] == [110.0, 155.0, 210.0, 255.0]
    assert page.box(1) == entry["box_px"]
    assert page.action(1) == "edit"
    assert page.troubles() == []


@pytest.mark.parametrize("image", [1, 2])
def test_a_missed_finding_is_drawn_and_sent(page, image):
    page.open()
    page.browser.click('form[data-number="4"] .draw')
    page.see(image)
    page.drag((550, 700), (300, 140), image)  # over other boxes, from any corner to the opposite one
    assert page.box(4) == [300.0, 140.0, 550.0, 700.0]
    assert page.box(1) == FIRST
    page.see(image)
    page.drag((420, 400), (430, 390), image)  # drawn, it is moved like any other
    *_, entry = page.send(4)
    assert (entry["action"], entry["image"], entry["type"]) == ("add", image, "nodule")
    assert entry["box_px"] == [310.0, 130.0, 560.0, 690.0]
    assert page.troubles() == []


def test_a_finding_is_drawn_anew_on_its_own_image_alone(page):
    page.open()
    page.browser.click('form[data-number="3"] .draw')
    page.see(1)
    page.drag((300, 300), (400, 500), 1)
    assert page.box(3) == [100.0, 50.0, 150.0, 120.0]
    page.see(2)
    page.drag((-50, 300), (90, 500), 2)
    assert page.box(3) == [100.0, 50.0, 150.0, 120.0]  # begun beside the image
    page.drag((1, 300), (90, 1500), 2)
    assert page.box(3) == [1.0, 300.0, 90.0, 800.0]
    assert page.browser.run("document.querySelectorAll('.drawing, .draw[aria-pressed=true]').length") == 0


def test_keys_move_resize_and_undo(page):
    page.open()
    page.browser.run("document.querySelector('#mark-1').focus()")
    page.press("ArrowRight", 3)
    page.press("ArrowUp", 2)
    assert page.box(1) == [103.0, 148.0, 203.0, 248.0]
    page.press("ArrowLeft", 4, modifiers=SHIFT)
    page.press("ArrowDown", 1, modifiers=SHIFT)
    assert page.box(1) == [103.0, 148.0, 199.0, 249.0]
    assert page.action(1) == "edit"
    told = page.browser.run("document.querySelector('#mark-1').ariaLabel")
    assert told == "Box of finding 1: 103.0, 148.0, 199.0, 249.0"
    assert page.browser.run("document.querySelector('output').textContent") == told
    page.press("Escape")
    assert page.box(1) == FIRST
    assert page.action(1) == ""
    page.browser.run("document.querySelector('form[data-number=\"4\"] .draw').focus()")
    page.press("Enter", code="Enter", text="\r", windowsVirtualKeyCode=13)
    assert page.box(4) == [263.0, 350.0, 338.0, 450.0]  # amid the image
    page.press("ArrowLeft")
    assert page.box(4) == [262.0, 350.0, 337.0, 450.0]
    assert page.troubles() == []


def test_numbers_that_are_typed_move_the_mark(page):
    page.open()
    page.browser.run("(f => { f.focus(); f.select(); })(document.querySelector('form[data-number=\"1\"] [name=box]'))")
    page.browser.call("Input.insertText", text="10 20, 30.5 40")
    assert page.mark(1) == [10, 20, 20.5, 20]
    assert page.action(1) == "edit"
    page.browser.run("document.querySelector('form[data-number=\"1\"] [value=reject]').click()")
    assert "reject" in page.browser.run("document.querySelector('#mark-1').className.baseVal")
    assert page.troubles() == []


def touched(page, start, end):
    (a, b), (c, d) = page.at(*start), page.at(*end)
    for kind, places in (("touchStart", [(a, b)]), ("touchMove", [((a + c) / 2, d)]), ("touchMove", [(c, d)])):
        page.browser.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y} for x, y in places])
    page.browser.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])


def test_a_finger_picks_a_box_before_it_moves_it(page):
    page.open(400, 900)
    page.browser.call("Emulation.setTouchEmulationEnabled", enabled=True)
    try:
        touched(page, (150, 200), (250, 400))
        assert page.box(1) == FIRST
        touched(page, (150, 200), (150, 200))
        touched(page, (150, 200), (250, 240))
        assert page.box(1) == [200.0, 190.0, 300.0, 290.0]
    finally:
        page.browser.call("Emulation.setTouchEmulationEnabled", enabled=False)


def test_without_script_boxes_are_seen_and_numbers_are_typed(page):
    page.open(script=False)
    assert page.box(1) == FIRST
    shown = "[...document.querySelectorAll('.tools, .draw, .tag')].filter(e => e.getBoundingClientRect().width).length"
    assert page.browser.run(shown) == 3  # the tags of the findings
    page.browser.run("document.querySelector('form[data-number=\"1\"] [name=box]').value = '1 2 3 4'")
    page.browser.click('form[data-number="1"] [value=edit]')
    (entry,) = page.send(1)
    assert entry["box_px"] == [1.0, 2.0, 3.0, 4.0]
    assert page.troubles() == []


def test_leaving_a_page_with_another_box_unsaved_is_asked_about(page):
    page.open()
    page.drag((150, 200), (160, 205))
    page.drag((406, 605), (426, 605))
    page.browser.run("document.querySelector('form[data-number=\"1\"]').elements.by.value = 'Dr Who'")
    page.browser.events.clear()
    page.browser.click('form[data-number="1"] button:not([type])')
    while not any(event["method"] == "Page.javascriptDialogOpening" for event in page.browser.events):
        page.browser.events.append(page.browser._message())
    page.browser.call("Page.handleJavaScriptDialog", accept=False)
    assert page.box(2) == [420.0, 600.0, 432.0, 610.0]
    assert not (page.output / NAME / "review.json").exists()


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_the_page_is_in_its_language_and_fits_its_window(page, language):
    words = LANGUAGES[language]
    with serving(page.output, language) as address:
        other = Page(page.browser, address, page.output)
        for width in (400, 1280):
            other.open(width)
            assert page.browser.run("document.documentElement.scrollWidth") <= width
        page.browser.run("document.querySelector('#mark-1').focus()")
        label = page.browser.run("document.querySelector('#mark-1').ariaLabel")
        assert label.startswith(words["review.mark"].format(n=1))
        described = (
            "document.getElementById(document.querySelector('#mark-1').getAttribute('aria-describedby')).textContent"
        )
        assert words["review.keys"] in page.browser.run(described)
        assert words["review.draw"] in page.browser.run("document.querySelector('.draw').textContent")
        assert other.troubles() == []
        page.browser.open(Blank)
