"""acpilot evaluate --real-time: a policy drives the practice game through its window, pages and virtual gamepad."""

from pathlib import Path

import numpy as np
import pytest

from acpilot.evaluation.closed_loop import Intervention, Observer
from acpilot.evaluation.drivers import Look
from acpilot.evaluation.real_time import drive_in_real_time
from acpilot.policy.policy import Command
from acpilot.practice.settings import PracticeSettings
from acpilot.practice.track import make_track
from conftest import acpilot
from test_convert import one_line
from test_evaluate import POLICIES, AlwaysLeft

pytestmark = pytest.mark.real_time


class _Pictures(Observer):
    def __init__(self) -> None:
        self.taken: list[np.ndarray] = []

    def intervened(self, intervention: Intervention, look: Look, command: Command) -> None:  # noqa: ARG002
        self.taken.append(look())


def test_a_policy_drives_through_the_window_and_is_put_back(display: str) -> None:
    assert display
    policy, pictures = AlwaysLeft(), _Pictures()
    settings = PracticeSettings(track="oval", size=(320, 180))
    driven, note = drive_in_real_time(policy, make_track("oval"), settings, pictures, 1, 12.0, lambda *_: None)
    assert len(driven.interventions) >= 2
    assert {each.reason for each in driven.interventions} == {"left the road"}
    first, second = driven.interventions[:2]
    assert 0 < first.metres < second.metres < 100, "it goes on from where it was put back"
    assert first.time > 2, "it drives by itself until then"
    assert len(pictures.taken) == len(driven.interventions)
    for picture in pictures.taken:
        assert picture.shape == (180, 320, 3)
        sky, ground = picture[5:25].mean(axis=(0, 1)), picture[100:130].mean(axis=(0, 1))
        assert sky[2] > sky[0] + 10, "the sky is blue: red, green, blue are in order"
        assert ground[2] < ground[1]
    assert driven.autonomy == 0
    assert max(policy.speeds) > 10
    assert len(policy.speeds) > 40
    assert "decisions: " in note


@pytest.mark.parametrize("flags", [("expert",), ("policies:left", "--delay-ms", "100"), ("policies:left", "--video")])
def test_what_real_time_cannot_do(tmp_path: Path, flags: tuple[str, ...]) -> None:
    (tmp_path / "policies.py").write_text(POLICIES, encoding="utf-8")
    line = one_line(*acpilot("evaluate", *flags, "--real-time", folder=tmp_path))
    assert "--real-time is for policies, without --delay-ms" in line
