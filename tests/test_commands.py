"""The commands that messages tell people to type: they fit the environment, and they work."""

import ast
import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from acpilot.commands import command
from environments import make_environment

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "acpilot"
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]


def texts(path: Path) -> list[str]:
    """The texts of a module that people may read: those of its docstrings stay out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs
    ]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_message_types_such_a_command_by_hand(path: Path) -> None:
    if path.name == "commands.py":
        return
    for text in texts(path):
        assert "pip install" not in text, "acpilot.commands knows the environment"
        assert "'acpilot " not in text, "cmd.exe does not know single quotes"


def test_each_extra_that_a_message_names_is_one() -> None:
    named = [
        node.args[0]
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "install_extra"
    ]
    assert len(named) >= 12
    for extra in named:
        assert isinstance(extra, ast.Constant)
        assert extra.value in EXTRAS


def test_words_are_quoted_as_every_shell_understands() -> None:
    folder = Path("Max Mustermann") / "laps (2)"
    assert command("acpilot", "convert", folder) == f'acpilot convert "{folder}"'
    typed = command(sys.executable, "-c", "import sys; print(sys.argv[1:])", folder, "a<2,>=1", "x[y]")
    done = subprocess.run(typed, shell=True, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([str(folder), "a<2,>=1", "x[y]"])


def write_wheel(folder: Path, name: str, version: str) -> None:
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": "",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_what_a_report_without_matplotlib_says_is_typed_and_installs_it(tool: str, tmp_path: Path) -> None:
    """In an environment of its own, with the tests' packages but that one, and an index of one (made-up) wheel."""
    environment = tmp_path / "an environment"
    python, site = make_environment(environment, ("matplotlib", "mpl_toolkits"), pip=tool == "pip")
    index = tmp_path / "index"
    index.mkdir()
    write_wheel(index, "matplotlib", "3.10.0")
    own = {
        **os.environ, "COLUMNS": "400", "NO_COLOR": "1", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index),
        "UV_NO_INDEX": "1", "UV_CACHE_DIR": str(tmp_path / "cache"), "UV_FIND_LINKS": str(index),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
    }  # fmt: skip
    done = subprocess.run(
        [python, "-m", "acpilot", "report", tmp_path], env=own, capture_output=True, text=True, check=False
    )
    (line,) = done.stderr.splitlines()
    wanted, _, remedy = line.partition("which is not installed: ")
    assert wanted == "acpilot: a report needs matplotlib, "
    assert remedy.startswith("uv pip install --python" if tool == "uv" else f'"{python.parent}')
    assert shutil.which("uv", path=own["PATH"]), "what make test installs"
    installed = subprocess.run(remedy, shell=True, env=own, capture_output=True, text=True, check=False)
    assert installed.returncode == 0, installed.stdout + installed.stderr
    assert (site / "matplotlib").is_dir()
