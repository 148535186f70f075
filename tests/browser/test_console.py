"""The console as a person sees it."""

import pytest

from tests.browser.chromium import Page
from tests.browser.conftest import Served

CONTRAST = """
(() => {
  const light = c => { const v = c / 255; return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4; };
  const read = text => text.match(/[0-9.]+/g).map(Number);
  const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
  const behind = element => {
    for (let e = element; e; e = e.parentElement) {
      const colour = read(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
  };
  const ratio = element => {
    const style = getComputedStyle(element);
    const ink = luminance(read(element instanceof SVGElement ? style.fill : style.color));
    const paper = luminance(behind(element));
    return (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
  };
  const texts = [...document.querySelectorAll('h2, dt, dd, th, td, a, p, li, figcaption, svg text')];
  return Math.min(...texts.filter(e => e.textContent.trim()).map(ratio));
})()
"""


@pytest.mark.parametrize("dark", [False, True])
def test_every_word_can_be_read(browser: Page, served: Served, *, dark: bool) -> None:
    """Text stands out 4.5 to 1 or more (WCAG 2.2, AA) in light and dark, and nothing fails to load."""
    browser.look(dark=dark)
    for path in ("/", f"/assets/{served.asset_id}", "/checks", "/breaks", "/collections"):
        browser.open(served.url + path)
        assert browser.run(CONTRAST) >= 4.5, path
        assert browser.troubles == []


@pytest.mark.parametrize("width", [360, 800, 1440])
def test_pages_fit_the_window(browser: Page, served: Served, width: int) -> None:
    """Wide tables scroll inside their sheet; the page itself never does so sideways."""
    browser.look(dark=False, width=width)
    for path in ("/", f"/assets/{served.asset_id}", "/collections"):
        browser.open(served.url + path)
        assert browser.run("document.documentElement.scrollWidth") <= width


def test_a_person_finds_an_asset(browser: Page, served: Served) -> None:
    """From the first page by its search field to an asset, and on to its pool."""
    browser.open(served.url + "/")
    browser.run(f"document.querySelector('[type=search]').value = '{served.asset_id}'")
    browser.run("document.querySelector('form button').click()")
    browser.wait(f"location.pathname === '/assets/{served.asset_id}' && document.readyState === 'complete'")
    assert browser.run("document.querySelectorAll('.chain li').length") == 4
    browser.run("document.querySelector('a[href^=\"/pools/\"]').click()")
    browser.wait("location.pathname.startsWith('/pools/pol_') && document.readyState === 'complete'")
    assert browser.run("document.querySelectorAll('tbody tr').length") == 1
    assert browser.troubles == []
