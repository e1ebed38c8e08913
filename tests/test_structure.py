"""The shape of the house: which room may know which."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from acpilot.session.folder import Session

PACKAGE = Path(__file__).parents[1] / "src" / "acpilot"

# Each room knows only the rooms behind it, here in the order of the walk.
ORDER = (
    ("errors", "commands", "clock", "clock_strip", "progress", "files", "threads", "settings"),
    ("desktop", "panda_output", "telemetry"),
    ("video",),
    ("session",),
    ("recording",),
    ("dataset",),
    ("replay",),
    ("policy",),
    ("learning",),
    ("driving",),
    ("practice",),
    ("demo", "evaluation"),
    ("cli", "originals", "__main__"),
)
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}


def imports(path: Path) -> set[str]:
    """The rooms of the package that a module imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("acpilot.")}
    return found & set(RANK)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_arrow_runs_back(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room == "__init__":
        return
    ahead = {other for other in imports(path) if RANK[other] > RANK[room]}
    assert not ahead, f"{path.name} imports {ahead}"


def test_only_its_command_and_evaluation_import_the_practice_game() -> None:
    outside = [path for path in PACKAGE.rglob("*.py") if path.parent.name != "practice"]
    users = {path.relative_to(PACKAGE).parts[0] for path in outside if "practice" in imports(path)}
    assert users == {"cli.py", "evaluation"}


def test_only_the_session_knows_its_file_names() -> None:
    names = [path.name for path in vars(Session(Path("folder"))).values() if isinstance(path, Path)]
    for path in PACKAGE.rglob("*.py"):
        texts = [
            node.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in names[1:]
        ]
        assert path == PACKAGE / "session" / "folder.py" or not texts, f"{path.name}: {texts}"


def test_help_needs_nothing_heavy() -> None:
    code = (
        "import sys; from acpilot.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = ('numpy', 'av', 'pyarrow', 'PIL', 'mss', 'panda3d', 'Xlib', 'matplotlib', 'rerun', 'ray', 'torch',"
        " 'onnxruntime', 'tensorflow', 'vgamepad')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"
    commands = "record convert train report practice drive evaluate improve gamepad-test demo"
    for command in commands.split():
        assert command in result.stdout


@pytest.mark.parametrize("script", ["master_script.py", "convert_videos_to_dataset.py", "scripts/test_ac.py"])
def test_the_originals_scripts_say_what_a_python_without_acpilot_needs(script: str) -> None:
    command = [sys.executable, "-S", str(PACKAGE.parents[1] / script)]  # without the packages that are installed
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert "-m pip install ." in line
