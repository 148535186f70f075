"""The interactive documentation works, without anything from outside."""

from tests.browser.chromium import Page
from tests.browser.conftest import Served

TYPE = """
(() => {
  const field = document.querySelector('.auth-container input');
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(field, %r);
  field.dispatchEvent(new Event('input', {bubbles: true}));
})()
"""


def test_a_call_can_be_tried(browser: Page, served: Served) -> None:
    """Authorize with an access token, try `GET /v1/clock`, and see the exchange's answer."""
    browser.open(served.url + "/docs/", until="document.querySelector('.opblock-tag')")
    browser.run("document.querySelector('.btn.authorize').click()")
    browser.wait("document.querySelector('.auth-container input')")
    browser.run(TYPE % served.house.operator.sign_in())
    browser.run("document.querySelector('.auth-btn-wrapper .authorize').click()")
    browser.run("document.querySelector('.auth-btn-wrapper .btn-done').click()")
    browser.run("document.querySelector('#operations-tag-operations').click()")
    browser.wait("document.querySelector('#operations-operations-show_clock .opblock-summary-control')")
    browser.run("document.querySelector('#operations-operations-show_clock .opblock-summary-control').click()")
    browser.wait("document.querySelector('#operations-operations-show_clock .execute')")
    browser.run("document.querySelector('#operations-operations-show_clock .execute').click()")
    browser.wait("document.querySelector('#operations-operations-show_clock .live-responses-table')")
    answer = browser.run("document.querySelector('#operations-operations-show_clock .live-responses-table').innerText")
    assert "200" in answer
    assert '"virtual": true' in answer
    assert browser.troubles == []


def test_nothing_comes_from_outside(browser: Page, served: Served) -> None:
    """Every byte of the documentation is served by the exchange itself."""
    browser.open(served.url + "/docs/", until="document.querySelector('.opblock-tag')")
    names = browser.run("performance.getEntriesByType('resource').map(entry => entry.name)")
    assert names
    assert [name for name in names if not name.startswith((served.url, "data:"))] == []
