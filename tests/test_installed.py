"""What is installed from a wheel, away from acpilot's folder: its commands, and the original tool's names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from environments import make_environment

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands of an environment into which the wheel was installed."""
    made = tmp_path_factory.mktemp("wheel")
    build: list[str | Path] = [
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "-w",
        made,
        ROOT,
    ]
    subprocess.run([sys.executable, *build], check=True)
    (wheel,) = made.glob("acpilot-*.whl")
    python, _ = make_environment(made / "environment", ("acpilot", "_editable_impl_acpilot"))
    uv = Path(sys.executable).with_name("uv")
    install: list[str | Path] = ["pip", "install", "-q", "--offline", "--no-deps", "--python", python, wheel]
    subprocess.run([uv, *install], check=True)
    return python.parent


def run(command: Path, *words: str, folder: Path) -> tuple[int, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [command, *words], cwd=folder, env={**own, "COLUMNS": "400", "NO_COLOR": "1"}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.real_time
@pytest.mark.usefixtures("display")
def test_the_demo_runs_and_the_originals_converter_takes_its_session(commands: Path, tmp_path: Path) -> None:
    code, output = run(commands / "acpilot", "demo", "--duration", "5", folder=tmp_path)
    assert code == 0, output
    (session,) = (tmp_path / "ac_telemetry_data").iterdir()
    (session / "processed_data.csv").unlink()
    code, output = run(commands / "convert_videos_to_dataset", str(session), folder=tmp_path)
    assert code == 0, output
    assert (session / "processed_data.csv").is_file()


@pytest.mark.parametrize(
    ("name", "flags", "told"),
    [
        ("master_script", ("--wait", "0", "--pages", "acpilot_test_none"), "no game: Assetto Corsa's memory pages"),
        ("convert_videos_to_dataset", (), "acpilot: no folder given"),
        ("test_ac", ("--gamepad", "none"), "there is no policy at best_save/model.ckpt"),
    ],
)
def test_the_originals_names_are_commands(
    commands: Path, name: str, flags: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    code, output = run(commands / name, *flags, folder=tmp_path)
    assert code == 1
    assert told in output.splitlines()[-1]
    assert "Traceback" not in output
