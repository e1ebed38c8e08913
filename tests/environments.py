"""Python environments of the tests' own, with the packages that the tests run with."""

import subprocess
import sys
from importlib import metadata
from pathlib import Path

_TOOLS = ("pip", "setuptools", "_distutils", "distutils", "pkg_resources", "__pycache__")


def make_environment(folder: Path, without: tuple[str, ...], *, pip: bool = False) -> tuple[Path, Path]:
    """Make one that has all packages of this one (as links) but some: its Python, and its site-packages.

    Args:
        folder: of the environment.
        without: beginnings of names in site-packages that are left out.
        pip: whether it has a pip, and with it setuptools.
    """
    subprocess.run([sys.executable, "-m", "venv", *([] if pip else ["--without-pip"]), folder], check=True)
    python = next(folder.glob("[bS]*/python*"))
    (site,) = [path for path in folder.rglob("site-packages") if path.parent.parent.name != "lib64"]
    for path in Path(str(metadata.distribution("numpy").locate_file(""))).iterdir():
        if not path.name.startswith((*without, *_TOOLS)):
            (site / path.name).symlink_to(path)
    return python, site
