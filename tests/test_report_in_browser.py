"""The report as a real browser (Chromium) shows it."""

import json
import re
import subprocess
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acpilot.session import Session
from conftest import acpilot
from test_report import report, write_dataset, write_drive

PROBE = """<script>onload = () => {
  const seen = {
    title: document.title, text: document.body.innerText, wide: document.documentElement.scrollWidth - innerWidth,
    images: [...document.images].map(image => [image.alt, image.complete ? image.naturalWidth : 0]),
    requests: performance.getEntriesByType("resource").map(entry => entry.name),
  };
  const pre = document.createElement("pre"); pre.id = "probe"; pre.textContent = JSON.stringify(seen);
  document.body.append(pre);
}</script></body>"""


def chromium(page: Path, *flags: str, width: int = 1200) -> str:
    """Show a page in Chromium; what it printed."""
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
        f"--user-data-dir={page.parent / 'profile'}", f"--window-size={width},900", *flags, page.as_uri(),
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=True, timeout=60).stdout


def look_at(text: str, folder: Path) -> dict[str, object]:
    """What Chromium makes of a page: a script put into a copy of it tells."""
    copy = folder / "probed.html"
    copy.write_text(re.sub(r"<meta http-equiv=[^>]*>", "", text).replace("</body>", PROBE), encoding="utf-8")
    found = re.search(r'<pre id="probe">(.*?)</pre>', chromium(copy, "--dump-dom"), re.DOTALL)
    assert found
    seen: dict[str, object] = json.loads(unescape(found[1]))
    return seen


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    session = write_drive(tmp_path_factory.mktemp("sessions"))
    assert acpilot("convert", str(session.folder), folder=session.folder)[0] == 0
    return session
