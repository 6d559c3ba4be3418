"""Takes pictures of the pages, in both languages, wide and narrow, in every state that a visitor meets.

    .venv/bin/python tools/screenshots.py

All go to var/screenshots/; the ones that the READMEs show also go to docs/images/.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from find_browser import FLAGS
from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
ALL = ROOT / "var" / "screenshots"
SHOWN = {
    "en-4-delivered-1280": "register.png",
    "zh-CN-4-delivered-1280": "register.zh-CN.png",
    "en-11-monitor-1440": "monitor.png",
    "zh-CN-11-monitor-1440": "monitor.zh-CN.png",
}

LANGUAGES = {"zh-CN": "15400138000", "en": "15400138001"}
SIZES = {1280: 860, 390: 844}
PASSWORD = "correct horse battery"
_QUIET_S, _BUSY_S = 12, 14  # so that the charts have something to show


def main() -> None:
    """Start everything, walk, take pictures."""
    ALL.parent.mkdir(mode=0o700, exist_ok=True)  # the embedded stores want it private
    ALL.mkdir(exist_ok=True)
    IMAGES.mkdir(exist_ok=True)
    expect.set_options(timeout=15_000)
    with running_site() as (site, environ), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=FLAGS)
        for lang, mobile in LANGUAGES.items():
            walk(browser, site, lang, mobile)
            watch(browser, site, lang, mobile, environ)
        browser.close()
    for name, shown in SHOWN.items():
        shutil.copyfile(ALL / f"{name}.png", IMAGES / shown)
    print(f"{len(list(ALL.glob('*.png')))} pictures in {ALL.relative_to(ROOT)}/, {len(SHOWN)} in docs/images/")


@contextmanager
def running_site() -> Iterator[tuple[str, dict[str, str]]]:
    """A fresh Haoma with its sandbox: its address, and the environment of a tool beside it."""
    with tempfile.TemporaryDirectory(prefix="haoma-pictures-") as var_dir:
        environ = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        settings = {"VAR_DIR": var_dir, "PORT": "0", "BCRYPT_COST": "10"}
        server = subprocess.Popen(
            (sys.executable, "run.py"),
            cwd=ROOT,
            env=environ | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            line = server.stdout.readline() if server.stdout else ""
            if "ready" not in line:
                sys.exit("run.py did not start; run it by hand to see why.")
            yield line.split()[-1].removesuffix("/register"), environ | settings | {"PYTHONPATH": "."}
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait()


def find_browser() -> str | None:
    """The path of a Chromium; None for Playwright's own."""
    found = subprocess.run((sys.executable, "tools/find_browser.py"), cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if found.returncode:
        sys.exit(found.returncode)
    return found.stdout.strip() or None


def walk(browser: Browser, site: str, lang: str, mobile: str) -> None:
    """One visitor, from the first look to the account and back."""
    context = browser.new_context(locale=lang, timezone_id="Asia/Shanghai")
    page = context.new_page()
    number, code, captcha = page.locator("#mobile"), page.locator("#sms_code"), page.locator("#captcha-status")

    visit(page, f"{site}/register?lang={lang}")
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    take(page, lang, "1-empty")

    number.press_sequentially(mobile[:7])
    take(page, lang, "2-typing")
    number.press_sequentially(mobile[7:])
    page.locator("#password").fill(PASSWORD)
    page.locator("#password2").fill(PASSWORD)
    expect(page.locator("#mobile-verdict")).to_have_attribute("data-state", "free")
    expect(captcha).to_have_attribute("data-state", "passed")
    take(page, lang, "3-free")

    page.locator("#send-code").click()
    expect(page.locator("[data-step=delivered]")).to_have_attribute("data-state", "done")
    expect(page.locator("#send-code")).to_contain_text("57")
    take(page, lang, "4-delivered")

    code.fill("000000")
    page.locator("#submit").click()
    expect(page.locator("#attempts")).to_be_visible()
    take(page, lang, "5-wrong-code")

    inbox = context.new_page()
    visit(inbox, f"{site}/dev/inbox?lang={lang}")
    expect(inbox.locator(".bubble").first).to_be_visible()
    take(inbox, lang, "6-inbox")
    code.fill(inbox.locator(".bubble .code").first.inner_text())
    page.locator("#submit").click()
    expect(page.locator("#success")).to_be_visible()
    expect(page.locator("#signed-in")).to_be_visible()
    take(page, lang, "7-signed-in")

    visit(inbox, f"{site}/register?lang={lang}")
    inbox.locator("#mobile").press_sequentially(mobile)
    expect(inbox.locator("#mobile-verdict")).to_have_attribute("data-state", "taken")
    take(inbox, lang, "8-taken")
    visit(inbox, f"{site}/login?lang={lang}")
    take(inbox, lang, "9-login")
    visit(inbox, f"{site}/claim?lang={lang}")
    take(inbox, lang, "10-claim")
    context.close()


def watch(browser: Browser, site: str, lang: str, mobile: str, environ: dict[str, str]) -> None:
    """The same person as an operator, while others come and go."""
    tool = (sys.executable, "tools/make_admin.py", mobile)
    subprocess.run(tool, cwd=ROOT, env=environ, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    context = browser.new_context(locale=lang, timezone_id="Asia/Shanghai")
    page = context.new_page()
    visit(page, f"{site}/login?lang={lang}")
    page.locator("#account").fill(mobile)
    page.locator("#password").fill(PASSWORD)
    page.locator("#submit").click()
    expect(page.locator("#signed-in")).to_be_visible()
    visit(page, f"{site}/admin?lang={lang}")
    expect(page.locator("#monitor")).to_be_visible()
    for step in range(_BUSY_S * 4):
        for _ in range(step % 9):
            context.request.get(f"{site}/user/mobile/154{step:04d}{step % 9:04d}/")
        page.wait_for_timeout(200)
    page.locator("#block-kind").select_option("prefix")
    page.locator("#block-value").fill("1541234")
    page.locator("#block-submit").click()
    page.locator("#ask-yes").click()
    page.locator("#lookup").fill(mobile)
    page.locator("#lookup-submit").click()
    expect(page.locator("#found section")).to_have_count(2)
    page.wait_for_timeout(_QUIET_S * 1000)
    page.set_viewport_size({"width": 1440, "height": 1000})
    page.evaluate("window.scrollTo(0, 0)")
    page.screenshot(path=ALL / f"{lang}-11-monitor-1440.png", animations="disabled")
    take(page, lang, "11-monitor")
    context.close()


def visit(page: Page, address: str) -> None:
    """Go there; the page is as wide as the first of SIZES."""
    width, height = next(iter(SIZES.items()))
    page.set_viewport_size({"width": width, "height": height})
    page.goto(address)


def take(page: Page, lang: str, state: str) -> None:
    """A picture of the whole page in each size."""
    for width, height in SIZES.items():
        page.set_viewport_size({"width": width, "height": height})
        page.screenshot(path=ALL / f"{lang}-{state}-{width}.png", full_page=True, animations="disabled")
    width, height = next(iter(SIZES.items()))
    page.set_viewport_size({"width": width, "height": height})


if __name__ == "__main__":
    main()
