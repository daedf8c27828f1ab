"""A headless Chromium for the tests of pages."""

import os
import shutil

import pytest

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="session")
def chromium():
    from playwright.sync_api import sync_playwright  # only whoever runs these tests has it

    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    assert path, "these tests need chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium):
    """Opens an address; afterwards, that nothing went wrong in the page and that it asked nobody else."""
    pages, wrong = [], []

    def open_page(address, width, height, locale="en-US"):
        page = chromium.new_page(viewport={"width": width, "height": height}, locale=locale)
        pages.append(page)
        own = (address, "data:", "blob:")
        page.on("console", lambda message: message.type == "error" and wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("requestfailed", lambda request: wrong.append(f"failed: {request.url[:100]}"))
        page.on("request", lambda r: r.url.startswith(own) or wrong.append(f"asked: {r.url[:100]}"))
        page.goto(address)
        return page

    yield open_page
    for page in pages:
        page.close()
    assert not wrong
