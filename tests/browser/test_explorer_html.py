"""The explorer without installing, explorer.html, opened from its file as a visitor does."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

PAGE = (Path(__file__).parents[2] / "examples" / "explorer" / "explorer.html").as_uri()
SIZES = [(1280, 900), (390, 844)]
CHARTS = "losses", "gradients"
LIGHT = 0.2126, 0.7152, 0.0722  # of red, green and blue (WCAG)


def choose(page, axis, value):
    page.locator(f'#controls label:has([name="{axis}"][value="{value}"])').click()


def ended(page):
    """What the charts hold once the training was played."""
    page.wait_for_function("document.getElementById('step').value === '300'")
    return [page.locator(f"#{chart}").inner_html() for chart in CHARTS]


def outcome(page):
    return page.locator("#outcome").inner_text()


@pytest.mark.parametrize("width, height", SIZES)
@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_a_control_is_moved_and_the_curves_change(open_page, width, height, locale):
    page = open_page(PAGE, width, height, locale)
    assert page.evaluate("document.documentElement.lang") == {"en-US": "en", "zh-CN": "zh-CN"}[locale]
    before, told = ended(page), outcome(page)
    assert all(chart.count("<polyline") >= 2 for chart in before) and before[1].count("<circle") == 2 * 8
    choose(page, "activation", "tanh")
    assert page.locator("#step").input_value() != "300"  # it plays from the first step on
    after = ended(page)
    assert before[0] != after[0] and before[1] != after[1] and told != outcome(page)
    choose(page, "depth", "12")
    assert ended(page)[1].count("<circle") == 2 * 12
    page.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_what_is_dark_can_be_read(open_page):
    page = open_page(PAGE, *SIZES[1])
    page.emulate_media(color_scheme="dark")

    def light(selector, style):
        code = f"getComputedStyle(document.querySelector('{selector}')).{style}"
        values = [int(value) / 255 for value in re.findall(r"\d+", page.evaluate(code))[:3]]
        return sum(share * (v / 12.92 if v <= 0.04 else ((v + 0.055) / 1.055) ** 2.4) for share, v in zip(LIGHT, values))

    ground = light("body", "backgroundColor")
    assert ground < 0.02
    for selector in "body", ".small", ".without", ".with", "#losses .axis":
        assert (light(selector, "fill" if "axis" in selector else "color") + 0.05) / (ground + 0.05) > 4.5, selector


def test_a_step_back_and_a_replay(open_page):
    page = open_page(PAGE, *SIZES[0])
    end = ended(page)
    page.locator("#step").fill("1")
    assert all(now != then for now, then in zip([page.locator(f"#{chart}").inner_html() for chart in CHARTS], end))
    page.locator("#play").click()
    assert ended(page) == end


def test_losses_below_the_axis_are_triangles(open_page):
    page = open_page(PAGE, *SIZES[1])
    triangles = page.locator("#losses g.with path")
    ended(page)
    assert triangles.count() == 0
    for axis, value in (("activation", "tanh"), ("depth", "2"), ("rate", "3"), ("gain", "1.4"), ("batch", "256")):
        choose(page, axis, value)
    ended(page)
    assert triangles.count() > 5 and "≤ 0.01" in outcome(page)


def test_a_network_that_diverges_and_back_to_the_start(open_page):
    page = open_page(PAGE, *SIZES[1])
    told = outcome(page)
    page.locator("#tries button", has_text="learning rate 1").click()
    charts = ended(page)
    assert all("✕ diverged" in chart for chart in charts) and "✕ diverged by step" in outcome(page)
    assert page.locator("#tries [aria-pressed=true]").count() == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= SIZES[1][0]
    choose(page, "gain", "10")  # in the first steps
    assert all("✕ diverged" in chart for chart in ended(page))
    page.locator("#reset").click()
    assert outcome(page) == told and not any("✕" in chart for chart in ended(page))


def test_the_language_is_switched_and_the_choice_is_kept(open_page):
    page = open_page(PAGE, *SIZES[1])
    choose(page, "depth", "2")
    assert page.locator("h1").inner_text() == page.title() and page.locator("#language").inner_text() == "中文"
    page.locator("#language").click()
    assert page.locator("h1").inner_text() == page.title() and page.title().startswith("批量标准化")
    assert ended(page)[1].count("<circle") == 2 * 2
    shown = page.locator("body").inner_text()
    assert "不用 BN" in shown and "without" not in shown and "learning" not in shown


def test_keys_move_the_controls(open_page):
    page = open_page(PAGE, *SIZES[0])
    page.locator('#controls [name="depth"][value="8"]').focus()
    page.keyboard.press("ArrowRight")
    assert ended(page)[1].count("<circle") == 2 * 12
