"""The first command of the README, shortened."""

import csv
import os
from pathlib import Path

import pytest
from PIL import Image

from conftest import acpilot

pytestmark = pytest.mark.real_time


def test_the_demo_ends_with_a_labelled_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    code, output = acpilot("demo", "--duration", "8", folder=tmp_path)
    assert code == 0, output
    (session,) = (tmp_path / "ac_telemetry_data").iterdir()
    with (session / "processed_data.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 70
    for row in rows[::10]:
        with Image.open(session / "processed_images" / row["image_name"]) as picture:
            assert picture.size == (640, 360)
            assert len(picture.resize((16, 9)).getcolors() or []) > 30, "there is something to see"
    assert (session / "contact_sheet.png").exists()
    assert "acpilot record" in output.strip().splitlines()[-1]
    assert os.environ.get("DISPLAY") is None
