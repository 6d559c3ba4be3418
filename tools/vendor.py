"""Copies the browser libraries we serve from node_modules/ to static/vendor/.

Only the files named here are ever served; nothing is bundled or rewritten.
"""

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "node_modules"
TARGET = ROOT / "static" / "vendor"

# The external build of altcha is the one that runs under our Content-Security-Policy. English is inside it.
FILES = {
    "altcha/dist/external/altcha.min.js": "altcha/altcha.min.js",
    "altcha/dist/external/altcha.css": "altcha/altcha.css",
    "altcha/dist/workers/pbkdf2.js": "altcha/pbkdf2.js",
    "altcha/dist/i18n/zh-cn.js": "altcha/zh-cn.js",
    "altcha/LICENSE.txt": "altcha/LICENSE.txt",
    "partysocket/dist/ws.js": "partysocket/ws.js",
    "partysocket/LICENSE.txt": "partysocket/LICENSE.txt",
    "uplot/dist/uPlot.esm.js": "uplot/uPlot.esm.js",
    "uplot/dist/uPlot.min.css": "uplot/uPlot.min.css",
    "uplot/LICENSE": "uplot/LICENSE",
    "swagger-ui-dist/swagger-ui-bundle.js": "swagger-ui/swagger-ui-bundle.js",
    "swagger-ui-dist/swagger-ui.css": "swagger-ui/swagger-ui.css",
    "swagger-ui-dist/LICENSE": "swagger-ui/LICENSE",
    "swagger-ui-dist/NOTICE": "swagger-ui/NOTICE",
    "swagger-ui-dist/swagger-ui-bundle.js.LICENSE.txt": "swagger-ui/swagger-ui-bundle.js.LICENSE.txt",
}


def main() -> int:
    """Make static/vendor/ hold exactly FILES, or say which one is missing."""
    missing = [source for source in FILES if not (SOURCE / source).is_file()]
    if missing:
        print(f"node_modules/{missing[0]} is missing: run `npm ci`, then try again.", file=sys.stderr)
        return 1
    shutil.rmtree(TARGET, ignore_errors=True)
    for source, target in FILES.items():
        (TARGET / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(SOURCE / source, TARGET / target)
    return 0


if __name__ == "__main__":
    sys.exit(main())
