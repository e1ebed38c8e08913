"""The report as a real browser (Chromium) shows it."""

import json
import re
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from acpilot.dataset.quality import check_session
from acpilot.session.folder import Session
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
    result = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, timeout=60)
    return result.stdout + result.stderr


def look_at(text: str, folder: Path) -> dict[str, Any]:
    """What Chromium makes of a page: a script put into a copy of it tells."""
    copy = folder / "probed.html"
    copy.write_text(re.sub(r"<meta http-equiv=[^>]*>", "", text).replace("</body>", PROBE), encoding="utf-8")
    found = re.search(r'<pre id="probe">(.*?)</pre>', chromium(copy, "--dump-dom"), re.DOTALL)
    assert found
    seen: dict[str, Any] = json.loads(unescape(found[1]))
    return seen


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    session = write_drive(tmp_path_factory.mktemp("sessions"))
    assert acpilot("convert", str(session.folder), folder=session.folder)[0] == 0
    return session


def test_everything_in_the_page_is_shown_and_nothing_is_asked_for(session: Session, tmp_path: Path) -> None:
    seen = look_at(report(session.folder), tmp_path)
    assert seen["title"] == "test_coupe on ring short – acpilot"
    for finding in check_session(session, lambda *_: None):
        assert f"{finding.verdict}\t{finding.subject}\t{finding.text}" in seen["text"]
    assert len(seen["images"]) == 6
    assert all(width > 0 for _, width in seen["images"]), seen["images"]
    assert seen["requests"] == []
    assert seen["wide"] <= 0, "it must not be scrolled sideways"


def test_a_dataset_is_shown_too(session: Session, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "laps", session)
    seen = look_at(report(dataset.folder), tmp_path)
    assert seen["title"] == "Dataset laps – acpilot"
    assert "61 train, 10 validation, 9 test" in seen["text"]
    assert len(seen["images"]) == 6
    assert all(width > 0 for _, width in seen["images"]), seen["images"]
    assert seen["requests"] == []


def test_the_browser_refuses_what_is_not_in_the_page(session: Session, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    text = report(session.folder)
    page.write_text(text, encoding="utf-8")
    assert "Refused" not in chromium(page, "--enable-logging=stderr", "--dump-dom")
    picture = tmp_path / "picture.png"
    Image.new("RGB", (8, 8)).save(picture)
    page.write_text(text.replace("</main>", '<img src="picture.png"></main>'), encoding="utf-8")
    assert "Content Security Policy" in chromium(page, "--enable-logging=stderr", "--dump-dom")


@pytest.mark.parametrize("dark", [False, True])
def test_a_figure_is_readable_on_light_and_on_dark_paper(session: Session, tmp_path: Path, dark: bool) -> None:
    figure = re.search(r'<img src="[^"]*" alt="Speed and inputs over time">', report(session.folder))
    assert figure
    page, picture = tmp_path / "figure.html", tmp_path / "figure.png"
    page.write_text(f"<!doctype html><style>:root{{color-scheme:light dark}}</style>{figure[0]}", encoding="utf-8")
    chromium(page, f"--blink-settings=preferredColorScheme={0 if dark else 1}", f"--screenshot={picture}")
    with Image.open(picture) as shot:
        gray = np.asarray(shot.convert("L")).astype(int)
    paper = np.median(gray)
    ink = np.percentile(gray, 99.9) if dark else np.percentile(gray, 0.1)
    assert (paper < 60) == dark
    assert abs(ink - paper) > 130, "lettering must stand out from the paper"
