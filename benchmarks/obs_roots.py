"""Makes root folders with other versions of OBS Studio in them, from other releases of Debian, below ``.obs``.

Nothing of this system is touched. Each takes 1.3 GB and about a minute; it needs root, debootstrap, and the mirror that
this machine's own apt uses.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".obs"
SCRIPTS = Path("/usr/share/debootstrap/scripts")
PACKAGES = [
    "obs-studio", "obs-plugins", "dbus", "procps", "libgl1-mesa-dri", "libegl1", "libegl-mesa0", "libgl1",
    "libglx-mesa0", "libgles2", "libopengl0",
]  # fmt: skip
# In a namespace of its own, so that /proc is let go of whatever happens.
_INSTALL = """set -e
mount -t proc proc "$0/proc"
chroot "$0" apt-get update -qq
chroot "$0" apt-get -o Acquire::Check-Valid-Until=false install -y -qq --no-install-recommends {packages}
"""


def run(*command: str | Path) -> str:
    """Run a command and return what it says; end with that when it fails."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{result.stdout[-4000:]}{result.stderr}")
    return result.stdout


def mirror() -> str:
    """Of Debian's packages, as this machine's apt has it."""
    found = run("apt-get", "indextargets", "--format", "$(REPO_URI)").split()
    return next(address for address in found if "security" not in address)


def make(suite: str) -> None:
    """Make the root folder of a release of Debian's, unless it is there."""
    root = FOLDER / suite
    if root.exists():
        return
    print(f"setting up {root.relative_to(ROOT)} (once) ...", flush=True)
    part = FOLDER / f"{suite}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.parent.mkdir(exist_ok=True)
    known = SCRIPTS / suite
    # A release that is newer than this debootstrap is made like all of them.
    run("debootstrap", "--variant=minbase", suite, part, mirror(), *([] if known.exists() else [SCRIPTS / "sid"]))
    for name in Path("/etc/apt/apt.conf.d").iterdir():  # such as a proxy
        shutil.copy(name, part / "etc/apt/apt.conf.d")
    shutil.copy("/etc/resolv.conf", part / "etc/resolv.conf")
    services = part / "usr/sbin/policy-rc.d"
    services.write_text("#!/bin/sh\nexit 101\n")
    services.chmod(0o755)
    run("unshare", "--mount", "sh", "-c", _INSTALL.format(packages=" ".join(PACKAGES)), part)
    shutil.rmtree(part / "var/cache/apt/archives", ignore_errors=True)
    part.rename(root)


def main() -> None:
    """Make those that the command line names."""
    if run("id", "-u").strip() != "0":
        sys.exit("root folders of other releases can only be made by root: run this as root")
    for release in sys.argv[1:]:
        make(release)


if __name__ == "__main__":
    main()
