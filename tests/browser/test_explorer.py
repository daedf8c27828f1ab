"""The explorer's page in a headless Chromium: it loads, a control is moved, the picture changes, no error anywhere.

    pip install ".[explorer,browser]" && pytest -m browser        (and chromium, of the system or CHROMIUM=path)
"""

import base64
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "examples" / "explorer" / "page.py"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE = 60_000  # milliseconds: on a new machine the kernels are compiled first


@pytest.fixture(scope="module")
def server():
    """The address of `marimo run`, which is stopped in the end."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "marimo", "run", str(PAGE), "--headless", "--no-token", "--host", "127.0.0.1",
               "--port", str(port)]  # fmt: skip
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(150):
            assert process.poll() is None, process.stdout.read()
            try:
                urllib.request.urlopen(f"{address}/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


@pytest.fixture(scope="module")
def chromium():
    from playwright.sync_api import sync_playwright  # only whoever runs these tests has it

    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "these tests need chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def page(server, chromium):
    """The loaded page; afterwards, that nothing went wrong in it and that it asked nobody but its server."""
    wrong = []
    page = chromium.new_page(viewport={"width": 1100, "height": 1130})
    page.on("console", lambda message: message.type == "error" and wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url[:100]}"))
    page.on("request", lambda r: r.url.startswith((server, "data:", "blob:")) or wrong.append(f"asked: {r.url[:100]}"))
    page.goto(server)
    picture(page).wait_for(timeout=PATIENCE)
    yield page
    page.close()
    assert not wrong


def picture(page):
    return page.locator('img[alt*="Batch Normalization: "]')


def drawn(page):
    """The SVG that the page shows."""
    kind, code = picture(page).get_attribute("src").split(",")
    assert kind == "data:image/svg+xml;base64"
    return base64.b64decode(code).decode()


def until(page, condition, argument=None):
    """Wait for a condition in JavaScript on `src`, the picture's address, and `svg`, its text."""
    page.wait_for_function(
        "argument => { const image = document.querySelector('img[alt*=\"Batch Normalization: \"]');"
        f"const src = image?.src ?? '', svg = src && atob(src.split(',')[1]); return {condition}; }}",
        arg=argument, timeout=PATIENCE,
    )  # fmt: skip


def changed(page, before):
    """The SVG once it is another one than at the address `before`."""
    until(page, "src && src !== argument", before)
    return drawn(page)


def move(page, label, key):
    """Press a key on the slider with this label, and wait for another picture."""
    before = picture(page).get_attribute("src")
    slider = page.locator("marimo-slider", has_text=label).get_by_role("slider")
    slider.focus()
    slider.press(key)
    return changed(page, before)


def test_it_loads_and_shows_both_networks(page):
    assert page.title() == "minigrad: watch Batch Normalization"
    svg = drawn(page)
    assert svg.count("<circle") == 2 * 8 and svg.count("<animate") == 2 * 2 * 8 + 1
    assert page.evaluate("img => img.complete && img.naturalWidth > 0", picture(page).element_handle())
    assert re.search(r"without .*loss 2\.3.*; with .*loss 0\.\d+, 9\d% of new digits", picture(page).get_attribute("alt"))
    if os.environ.get("SCREENSHOT"):  # the file to make anew, such as examples/figures/explorer.png
        page.wait_for_timeout(4000)
        page.screenshot(path=os.environ["SCREENSHOT"], clip={"x": 60, "y": 30, "width": 980, "height": 1000})


def test_the_picture_moves_as_it_trains(page):
    move(page, "random seed", "ArrowRight")
    looks = []
    for _ in range(3):
        page.wait_for_timeout(500)
        looks.append(picture(page).screenshot())
    assert looks[0] != looks[1] and looks[1] != looks[2]
    page.wait_for_timeout(3000)
    looks = [picture(page).screenshot() for _ in range(2)]
    assert looks[0] == looks[1]  # it has come to its end


def test_a_control_is_moved_and_the_picture_changes(page):
    assert "<animate" not in move(page, "slow motion", "Home")
    look = picture(page).screenshot()
    assert move(page, "hidden layers", "ArrowRight").count("<circle") == 2 * 9
    assert picture(page).screenshot() != look
    assert move(page, "hidden layers", "ArrowLeft").count("<circle") == 2 * 8


@pytest.mark.parametrize("choice, colors", [("without", (True, False)), ("with", (False, True))])
def test_batch_normalization_on_or_off(page, choice, colors):
    before = picture(page).get_attribute("src")
    page.locator("marimo-dropdown", has_text="Batch Normalization").locator("select").select_option(choice)
    svg = changed(page, before)
    assert svg.count("<circle") == 8
    assert ("#D55E00" in svg, "#0072B2" in svg) == colors


def test_a_network_that_diverges(page):
    before = picture(page).get_attribute("src")
    page.locator("marimo-dropdown", has_text="activation").locator("select").select_option("relu")
    changed(page, before)
    assert "✕ diverged" in move(page, "initial gain", "End")
    assert "without Batch Normalization: diverged" in picture(page).get_attribute("alt")


def test_the_page_is_a_script(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    printed = subprocess.run([sys.executable, str(PAGE)], env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert printed.returncode == 0, printed.stderr
    assert "with Batch Normalization: loss" in printed.stdout
