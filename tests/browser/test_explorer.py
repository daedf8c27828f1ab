"""The explorer's page in a headless Chromium: it loads, a control is moved, the picture changes, no error anywhere.

    pip install ".[explorer,browser]" && pytest -m browser        (and chromium, of the system or CHROMIUM=path)
"""

import base64
import os
import re
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
FIGURES = os.environ.get("FIGURES")  # the folder to make explorer.png anew in, for both course pages
PATIENCE = 180_000  # milliseconds: on a new machine the kernels are compiled first


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


@pytest.fixture
def page(server, open_page):
    page = open_page(server, 1100, 1130)
    picture(page).wait_for(timeout=PATIENCE)
    return page


def picture(page):
    return page.locator("picture img")


def drawn(page):
    """The SVG that the page shows."""
    kind, code = picture(page).evaluate("image => image.currentSrc").split(",")
    assert kind == "data:image/svg+xml;base64"
    return base64.b64decode(code).decode()


def changed(page, act, *arguments):
    """The SVG once it is another one than before `act`."""
    before = picture(page).get_attribute("src")
    act(*arguments)
    page.wait_for_function(
        "before => { const src = document.querySelector('picture img')?.src; return src && src !== before; }",
        arg=before, timeout=PATIENCE,
    )  # fmt: skip
    return drawn(page)


def control(page, label):
    return page.locator("label", has=page.get_by_text(label, exact=True))


def move(page, label, key):
    """Press a key on the slider with this label, and wait for another picture."""
    return changed(page, control(page, label).get_by_role("slider").press, key)


def choose(page, label, value):
    return changed(page, control(page, label).locator("select").select_option, value)


def click(page, name):
    return changed(page, page.get_by_role("button", name=name, exact=True).click)


def test_it_loads_and_shows_both_networks(page):
    assert page.title() == "Batch Normalization: watch it train"
    svg = drawn(page)
    assert svg.count("<circle") == 2 * 8 and svg.count("<animate") == 2 * 2 * 8 + 1
    assert page.evaluate("img => img.complete && img.naturalWidth > 0", picture(page).element_handle())
    told = r"without: loss 2\.3.*; Batch Normalization: loss 0\.\d+, 9\d% of new digits"
    assert re.search(told, picture(page).get_attribute("alt"))
    if FIGURES:
        for name, other in (("explorer.png", "中文"), ("zh/explorer.png", "English")):
            page.wait_for_timeout(4000)
            box = picture(page).bounding_box()
            clip = {"x": 60, "y": 30, "width": 980, "height": box["y"] + box["height"] - 30}
            page.screenshot(path=Path(FIGURES, name), clip=clip)
            click(page, other)


def test_the_picture_moves_as_it_trains_and_again_after_a_click(page):
    for act in (lambda: move(page, "random seed", "ArrowRight"), lambda: click(page, "▶ Replay")):
        act()
        looks = []
        for _ in range(3):
            page.wait_for_timeout(500)
            looks.append(picture(page).screenshot())
        assert looks[0] != looks[1] and looks[1] != looks[2]
        page.wait_for_timeout(3000)
        looks = [picture(page).screenshot() for _ in range(2)]
        assert looks[0] == looks[1]  # it has come to its end


def test_a_control_is_moved_and_the_picture_changes(page):
    assert "<animate" not in move(page, "slow motion (s)", "Home")
    look = picture(page).screenshot()
    assert move(page, "hidden layers", "ArrowRight").count("<circle") == 2 * 9
    assert picture(page).screenshot() != look
    assert choose(page, "optimizer", "Adam").count("<circle") == 2 * 9


def test_a_suggestion_and_back_to_the_start(page):
    start = drawn(page)
    move(page, "hidden layers", "ArrowRight")
    suggested = page.locator(".tries").get_by_role("button").all_inner_texts()
    assert len(suggested) == 11
    for name in reversed(suggested[1:]):
        svg = click(page, name)
        networks = 3 if "Layer" in name else 2
        assert svg.count('font-size="14"') == networks == page.get_by_role("checkbox", checked=True).count()
    assert control(page, "activation").locator("select").input_value() == "tanh"
    without_times = [re.sub(r"\d+ ms", "", svg) for svg in (start, click(page, "Back to the start"))]
    assert without_times[0] == without_times[1]


def test_one_network_alone_and_none(page):
    boxes = page.get_by_role("checkbox")
    svg = changed(page, boxes.nth(0).click)
    assert svg.count("<circle") == 8 and "#D55E00" not in svg and "#0072B2" in svg
    boxes.nth(1).click()
    page.get_by_text("Choose at least one network.").wait_for()
    boxes.nth(2).click()
    picture(page).wait_for()
    assert "#009E73" in drawn(page)


def test_a_network_that_diverges(page):
    choose(page, "activation", "relu")
    assert "✕ diverged" in move(page, "initial gain", "End")
    assert "without: ✕ diverged by step" in picture(page).get_attribute("alt")


def test_on_a_phone_in_chinese(server, open_page):
    page = open_page(server, 390, 844, "zh-CN")
    picture(page).wait_for(timeout=PATIENCE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    boxes = [box.bounding_box() for box in page.get_by_role("slider").all() + page.locator("select").all()]
    assert len(boxes) == 10 and all(box["x"] >= 0 and box["x"] + box["width"] <= 390 for box in boxes)
    boxes.sort(key=lambda box: box["y"])
    assert all(above["y"] + above["height"] < below["y"] for above, below in zip(boxes, boxes[1:]))
    assert 'viewBox="0 0 390' in drawn(page)
    shown = page.locator("body").inner_text()
    assert "批量标准化" in shown and not re.search("without|learning", shown)
    move(page, "隐藏层数", "ArrowRight")
    spoken = "() => [...new Set([...document.querySelectorAll('main [lang], #root [lang]')].map(part => part.lang))]"
    assert page.evaluate(spoken) == ["zh-CN"]
    svg = click(page, "English")  # and the controls stay where they are
    page.wait_for_function(f"({spoken})().join() === 'en'", timeout=PATIENCE)
    assert svg.count("<circle") == 2 * 9 and "guessing" in svg and "瞎猜" not in svg


def test_the_page_is_a_script(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    printed = subprocess.run([sys.executable, str(PAGE)], env=environment, capture_output=True, text=True, cwd=tmp_path)
    assert printed.returncode == 0, printed.stderr
    assert "; Batch Normalization: loss" in printed.stdout
