"""The page behind an obligor's link as a person sees it on a phone: what it owes, and an answer without any script."""

from pathlib import Path

import pytest

from tests.browser.chromium import Page
from tests.browser.conftest import Served
from tests.browser.test_console import CONTRAST
from tests.exchange.receivables.shared import ask, entered, owed_by, state

PHONE = 360
SEEN = "[...document.querySelectorAll('.terms, .why')].map(e => getComputedStyle(e).display !== 'none')"


def link(served: Served, *asset_ids: str) -> str:
    """Where the link leads on this server."""
    (url,) = {result["url"] for result in ask(served.house.platform, asset_ids)}
    return f"{served.url}{url.removeprefix('http://127.0.0.1:8080')}"


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_is_enough(browser: Page, served: Served, *, dark: bool) -> None:
    """It fits, every word can be read, every choice is large enough for a thumb, nothing fails to load."""
    seller = {"scheme": "platform", "value": f"s-{dark}", "name": "浙江日出塑料有限公司"}
    note = {"kind": "delivery_note", "sha256": f"{dark:064x}"}
    number = f"A-VERY-LONG-INVOICE-NUMBER-WITHOUT-A-SPACE-{dark}"
    url = link(served, *entered(served.house, owed_by(f"phone {dark}", number, seller=seller, documents=[note])))
    browser.look(dark=dark, width=PHONE, height=740)
    browser.open(url)
    assert browser.run("document.documentElement.scrollWidth") <= PHONE
    assert browser.run(CONTRAST) >= 4.5
    heights = "[...document.querySelectorAll('label.choice, button')].map(e => e.getBoundingClientRect().height)"
    assert min(browser.run(heights)) >= 44
    assert browser.troubles == []


def test_an_obligor_answers(browser: Page, served: Served, tmp_path: Path) -> None:
    """Fields appear when they are needed; a correction and an acceptance in one go; the page then says both."""
    one, two = entered(served.house, owed_by("browses", "BROWSE-1"), owed_by("browses", "BROWSE-2"))
    browser.look(dark=False, width=PHONE, height=740)
    browser.open(link(served, one, two))
    assert browser.run(SEEN) == [False] * 4
    browser.run(f"document.querySelector('[name=\"outcome-{one}\"][value=corrected]').click()")
    browser.run(f"document.querySelector('[name=\"outcome-{two}\"][value=accepted]').click()")
    assert browser.run(SEEN) == [True, True, False, False]
    browser.picture(tmp_path / "answering.png")
    browser.run(f"document.querySelector('[name=\"amount-{one}\"]').value = '9,000.00'")
    browser.run("document.querySelector('form button').click()")
    browser.wait("document.querySelectorAll('.fault').length === 1")
    assert browser.run(f"document.querySelector('[name=\"amount-{one}\"]').value") == "9,000.00"
    assert state(served.house, two) == "awaiting_confirmation"
    browser.run(f"document.querySelector('[name=\"reason_code-{one}\"]').value = 'quantity_short'")
    browser.run("document.querySelector('form button').click()")
    browser.wait("document.querySelectorAll('.given').length === 3")
    assert [state(served.house, asset_id) for asset_id in (one, two)] == ["confirmed", "confirmed"]
    assert served.house.platform.get(f"/v1/assets/{one}")["face_minor"] == 900_000
