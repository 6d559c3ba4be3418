"""Prints the path of a Chromium for the tests, or nothing when Playwright has one of its own.

Installs one when it has to and may. Whatever else there is to say goes to stderr.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = ("chromium", "fonts-noto-cjk")
# What a browser that is driven by a program is started with: no sandbox (it may be root's), no calls home.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
ADVICE = "The tests need a browser: install Chromium or Chrome, or set CHROMIUM to the path of one."


def main() -> int:
    """Print what the tests are to launch; 1 when there is nothing."""
    if chosen := os.environ.get("CHROMIUM"):
        if not shutil.which(chosen):
            return fail(f"CHROMIUM={chosen} is not a program: set it to the path of a Chromium, or to nothing.")
        print(chosen)
        return 0
    path = on_path() or (on_path() if install_by_apt() else None)
    if path is None and not install_by_playwright():
        return fail(ADVICE)
    print(path or "")
    return 0


def fail(text: str) -> int:
    """Say why there is no browser."""
    print(text, file=sys.stderr)
    return 1


def on_path() -> str | None:
    """The first browser on PATH that runs; on Ubuntu the name may be no more than a hint to use snap."""
    for name in NAMES:
        path = shutil.which(name)
        if path and succeeds(path, "--version"):
            return path
    return None


def install_by_apt() -> bool:
    """Install Debian's Chromium if we may; Ubuntu's package of that name is not a browser."""
    if os.geteuid() != 0 or not shutil.which("apt-get") or is_ubuntu():
        return False
    print("Installing Chromium by apt-get ...", file=sys.stderr)
    install = ("apt-get", "install", "-y", "--no-install-recommends", *PACKAGES)
    return succeeds("apt-get", "update") and succeeds(*install)


def install_by_playwright() -> bool:
    """Have Playwright fetch its own Chromium, or see that it has it."""
    print("Looking for Playwright's Chromium ...", file=sys.stderr)
    return succeeds(sys.executable, "-m", "playwright", "install", "chromium")


def is_ubuntu() -> bool:
    """True on Ubuntu and what is made from it."""
    release = Path("/etc/os-release")
    return release.exists() and "ubuntu" in release.read_text().lower()


def succeeds(*command: str) -> bool:
    """Run a command in silence; what it had to say is shown when it fails."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        print(f"`{' '.join(command)}` failed:\n{done.stdout[-2000:]}", file=sys.stderr)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
