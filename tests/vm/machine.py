"""Runs a command as root in a small virtual machine whose kernel has uinput: python machine.py COMMAND...

The machine boots a kernel of Debian's in QEMU's emulation, which works where no virtualisation is allowed, or where
there is a /dev/kvm that only seems to work. Its disk is this machine's own, under a layer in memory: the command sees
all files and may change any, and nothing of that lasts.
Ends with the command's exit code. Needs Debian's packages qemu-system-x86, busybox-static, kmod and cpio.
"""

import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".vm"
MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay", "uinput", "evdev", "joydev")
SECONDS = 1500
INIT = """#!/busybox sh
export PATH=/
for name in $(/busybox --list); do [ -e /$name ] || /busybox ln -s /busybox /$name; done
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t tmpfs layer /layer
while read -r module; do insmod /modules/$module; done < /modules/order
mkdir /layer/changed /layer/work
mount -t 9p -o trans=virtio,version=9p2000.L,ro,cache=loose,msize=512000 disk /disk || poweroff -f
mount -t overlay -o lowerdir=/disk,upperdir=/layer/changed,workdir=/layer/work root /root || poweroff -f
for folder in proc sys dev; do mount --move /$folder /root/$folder; done
mkdir -p /root/dev/shm; mount -t tmpfs pages /root/dev/shm
cp /command /root/run/command
export HOME=/root PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
/busybox chroot /root /bin/sh /run/command
echo "exit code $?"
/busybox poweroff -f
"""


def fetch_kernel() -> Path:
    """Download and unpack Debian's newest kernel, unless that is done; its folder."""
    if not shutil.which("apt-get"):
        sys.exit("the machine runs a kernel that apt-get downloads: this needs Debian or a relative of it")
    if not (name := newest_kernel()):
        subprocess.run(["apt-get", "update", "-qq"], check=False, stderr=subprocess.DEVNULL)
        name = newest_kernel() or "linux-image-amd64"
    folder = CACHE / name
    if not folder.exists():
        sys.stdout.write(f"downloading {name} (once) ...\n")
        shutil.rmtree(CACHE, ignore_errors=True)
        CACHE.mkdir()
        subprocess.run(["apt-get", "download", "-qq", name], cwd=CACHE, check=False, stderr=subprocess.DEVNULL)
        package = next(CACHE.glob("*.deb"), None)
        if package is None:
            sys.exit("the kernel linux-image-amd64 cannot be downloaded: run 'sudo apt-get update', then try again")
        unpacked = CACHE / "unpacking"
        subprocess.run(["dpkg-deb", "-x", package, unpacked], check=True)
        subprocess.run(["depmod", "-b", unpacked, name.removeprefix("linux-image-")], check=True)
        package.unlink()
        unpacked.rename(folder)
    return folder


def newest_kernel() -> str:
    """Name of the package that holds Debian's newest kernel; empty when apt's lists do not have it."""
    said = subprocess.run(["apt-cache", "depends", "linux-image-amd64"], capture_output=True, text=True, check=False)
    found = re.search(r"Depends: (linux-image-\S+)", said.stdout)
    return found[1] if found else ""


def pack_first_files(kernel: Path, command: list[str], archive: Path) -> None:
    """Pack what the kernel starts from: busybox, modules in the order in which they are loaded, and the command."""
    with tempfile.TemporaryDirectory() as made:
        root = Path(made)
        for folder in ("modules", "proc", "sys", "dev", "disk", "layer", "root"):
            (root / folder).mkdir()
        (version,) = (kernel / "lib/modules").iterdir()
        order: list[str] = []
        for module in MODULES:
            show: list[str | Path] = ["modprobe", "-d", kernel, "-S", version.name, "--show-depends", module]
            for line in subprocess.run(show, capture_output=True, text=True, check=True).stdout.splitlines():
                if line.startswith("insmod ") and (path := Path(line.split()[1])).name not in order:
                    order.append(path.name)
                    shutil.copy(path, root / "modules")
        (root / "modules/order").write_text("".join(f"{name}\n" for name in order))
        shutil.copy(shutil.which("busybox") or "/bin/busybox", root / "busybox")
        (root / "command").write_text(f"cd {shlex.quote(str(Path.cwd()))} && exec {shlex.join(command)}\n")
        (root / "init").write_text(INIT)
        (root / "init").chmod(0o755)
        names = "\n".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
        with archive.open("wb") as file:
            pack = ["cpio", "--create", "--format=newc", "--quiet"]
            subprocess.run(pack, cwd=root, input=names.encode(), stdout=file, check=True)


def boot(kernel: Path, archive: Path) -> int:
    """Boot the machine, show what the command prints, and return its exit code."""
    (image,) = (kernel / "boot").glob("vmlinuz-*")
    qemu: list[str | Path] = [
        "timeout", str(SECONDS), "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2",
        "-m", "1536", "-M", "pc", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-serial", "stdio",
        "-kernel", image, "-initrd", archive, "-append",
        "console=ttyS0 quiet loglevel=3 panic=-1 mitigations=off no_timer_check tsc=reliable random.trust_cpu=on",
        "-fsdev", "local,id=disk,path=/,security_model=none,readonly=on,multidevs=remap",
        "-device", "virtio-9p-pci,fsdev=disk,mount_tag=disk",
    ]  # fmt: skip
    code = None
    with subprocess.Popen(qemu, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as machine:
        assert machine.stdout is not None
        try:
            for line in machine.stdout:
                text = line.decode(errors="replace").rstrip()
                if found := re.fullmatch(r"exit code (\d+)", text):
                    code = int(found[1])
                else:
                    sys.stdout.write(f"{text}\n")
                    sys.stdout.flush()
        finally:
            machine.terminate()  # Ctrl-C does not reach it
    if code is None:
        sys.exit(f"the machine ended before the command did (it may take {SECONDS} s)")
    return code


def main() -> None:
    """Run the command given on the command line."""
    kernel = fetch_kernel()
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "first_files.cpio"
        pack_first_files(kernel, sys.argv[1:], archive)
        sys.exit(boot(kernel, archive))


if __name__ == "__main__":
    main()
