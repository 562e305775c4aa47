"""The page in a real browser: no errors, no request, a timeline that answers keys and pointer, and access for all.

Needs a Chromium that is installed, as Debian's package ``chromium`` is, and playwright, which drives it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mapper import cli

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser (extra: test)")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    names = []
    for name, changes in (("small", ["--set", "array.size=8"]), ("plain", [])):
        names.append(str(folder / f"{name}.json"))
        command = ["map", "64x64x128", "--finalists", "0", "--timeline", "--quiet", *changes, "--json", names[-1]]
        assert cli.main(command) == 0
    assert cli.main(["report", *names, "-o", str(folder / "page.html")]) == 0
    return folder / "page.html"


@pytest.fixture(params=["light", "dark"])
def page(browser: Any, file: Path, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page in both schemes; what it logs, throws or asks for is collected and must be nothing."""
    context = browser.new_context(color_scheme=request.param, viewport={"width": 1280, "height": 900})
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda asked: complaints.append(asked.url) if asked.url != file.as_uri() else None)
    opened.goto(file.as_uri())
    yield opened
    context.close()
    assert complaints == []


def test_the_timeline_answers_keys(page: Any) -> None:
    stage, output = page.locator(".timeline").first.locator("canvas"), page.locator("output").first
    view = page.locator(".view").first
    whole = view.inner_text()
    stage.focus()
    page.keyboard.press("ArrowRight")
    assert output.inner_text().startswith("matmul: 0 µs to ")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Home")
    first = output.inner_text()
    assert first.startswith("load: ") and "tile 0 of matmul; loads " in first
    page.keyboard.press("End")
    assert output.inner_text() != first
    page.keyboard.press("Home")
    assert output.inner_text() == first
    page.keyboard.press("+")
    assert view.inner_text() != whole
    page.keyboard.press("0")
    assert view.inner_text() == whole
    for _ in range(12):
        page.keyboard.press("ArrowDown")
    assert output.inner_text().startswith("L2: ") and " KiB of 512 KiB: " in output.inner_text()
    page.keyboard.press("Escape")
    assert output.inner_text() == "No span is selected."


def test_the_timeline_answers_the_pointer(page: Any) -> None:
    stage, tip = page.locator("canvas").first, page.locator(".tip").first
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    page.mouse.move(box["x"] + 400, box["y"] + 36)
    assert tip.inner_text().startswith("matmul: ")
    page.mouse.click(box["x"] + 400, box["y"] + 36)
    assert page.locator("output").first.inner_text().startswith("matmul: ")
    view = page.locator(".view").first
    whole = view.inner_text()
    stage.focus()
    page.mouse.wheel(0, -300)
    page.wait_for_function("whole => document.querySelector('.view').textContent !== whole", arg=whole)
    zoomed = view.inner_text()
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 36, steps=4)
    page.mouse.up()
    assert view.inner_text() not in (whole, zoomed)
    page.get_by_role("button", name="Whole block").first.click()
    assert view.inner_text() == whole


def test_it_is_accessible(page: Any) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe judges the page (extra: test)")
    found = axe.Axe().run(page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"][:120]) for one in found] == []


def test_spans_are_drawn(page: Any) -> None:
    """The canvas holds more colours than paper, ink and lines."""
    colours = page.evaluate(
        """() => { const canvas = document.querySelector('canvas'), pen = canvas.getContext('2d');
        const data = pen.getImageData(0, 0, canvas.width, canvas.height).data, found = {};
        for (let at = 0; at < data.length; at += 4) {
          const key = data.slice(at, at + 3).join(); found[key] = (found[key] || 0) + 1; }
        return Object.values(found).filter((count) => count > 300).length; }"""
    )
    assert colours >= 4
