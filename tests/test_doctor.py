"""What acpilot doctor says of desktops, terminals and settings files that are not as usual."""

import codecs
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from Xlib import display as xdisplay

from conftest import acpilot
from test_window import Shown


@contextmanager
def screen_of_depth(depth: int) -> Iterator[str]:
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", f"640x480x{depth}", "-noreset"]
    process = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as told:
        yield f":{told.readline().strip()}"
    process.terminate()
    process.wait()


def finding(subject: str, output: str) -> str:
    (line,) = [line for line in output.splitlines() if line[6:].startswith(subject)]
    return line


@pytest.mark.parametrize("depth", [16, 30])
@pytest.mark.parametrize("flags", [(), ("--region", "0", "0", "320", "200")], ids=["a window", "a region"])
def test_a_desktop_of_another_depth_is_told_with_its_remedy(depth: int, flags: tuple[str, ...], tmp_path: Path) -> None:
    with screen_of_depth(depth) as name:
        window = Shown(name, "Assetto Corsa")
        line = finding("window", acpilot("doctor", *flags, folder=tmp_path, environment={"DISPLAY": name})[1])
        window.connection.close()
    assert line.startswith("fault")
    assert f"not {depth}" in line
    assert "24 bits of colour" in line


def test_a_picture_is_taken_of_the_window(screen: xdisplay.Display, tmp_path: Path) -> None:
    name = screen.get_display_name()
    title = "A Window Of The Doctor's"
    window = Shown(name, title)
    flags = ("doctor", "--title", title)
    told = finding("window", acpilot(*flags, folder=tmp_path, environment={"DISPLAY": name})[1])
    assert told.startswith("fault")
    assert "its picture is black" in told
    assert "borderless" in told
    window.window.change_attributes(background_pixel=0x00FF00)
    window.window.clear_area(0, 0, 320, 200)
    window.connection.sync()
    told = finding("window", acpilot(*flags, folder=tmp_path, environment={"DISPLAY": name})[1])
    assert told.startswith(f'ok    window     "{title}", 320x200 at 40, 50; pictures with x11')
    told = finding("window", acpilot("doctor", folder=tmp_path, environment={"DISPLAY": name})[1])
    assert f'there are: "{title}"' in told
    window.connection.close()


def test_a_terminal_that_does_not_control_it_is_no_traceback(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no openpty")
    main, terminal = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "acpilot", "doctor"], cwd=tmp_path, stdin=terminal, capture_output=True, text=True,
        start_new_session=True, check=False,
    )  # fmt: skip
    os.close(terminal)
    os.close(main)
    assert "Traceback" not in done.stderr
    assert "Ctrl-C" in finding("stop key", done.stdout)


ENCODINGS = {
    "UTF-8": ("utf-8", b""),
    "UTF-8 with a BOM": ("utf-8", codecs.BOM_UTF8),
    "PowerShell's UTF-16": ("utf-16-le", codecs.BOM_UTF16_LE),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_settings_files_are_read_in_every_encoding_of_windows(encoding: str, tmp_path: Path) -> None:
    name, mark = ENCODINGS[encoding]
    own = tmp_path / "config" / "acpilot"
    own.mkdir(parents=True)
    (own / "obs.toml").write_bytes(mark + 'password = "geheim ü"\r\n'.encode(name))
    text = f'[doctor]\r\ntitle = "Größe"\r\noutput = "{tmp_path}"\r\n'
    (tmp_path / "acpilot.toml").write_bytes(mark + text.encode(name))
    environment = {"XDG_CONFIG_HOME": str(own.parent), "DISPLAY": os.environ.get("DISPLAY", "")}
    _, output = acpilot("doctor", folder=tmp_path, environment=environment)
    assert finding("password", output).startswith("ok")
    assert str(tmp_path) in finding("disk", output)


@pytest.mark.parametrize("content", [b'\xef\xbb\xbf# mine\r\npassword = "se\xfcret"', b'# mine\r\npassword = secret"'])
def test_a_password_file_that_cannot_be_read_is_named_with_its_line_and_not_quoted(
    content: bytes, tmp_path: Path
) -> None:
    own = tmp_path / "config" / "acpilot"
    own.mkdir(parents=True)
    (own / "obs.toml").write_bytes(content)
    _, output = acpilot("doctor", folder=tmp_path, environment={"XDG_CONFIG_HOME": str(own.parent)})
    told = finding("password", output)
    assert f"{own / 'obs.toml'}, line 2" in told
    assert 'password = "..."' in told
    assert "cret" not in output


def test_a_settings_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "acpilot.toml").write_text('[record]\noutput = "C:\\Users\\me"\n')
    code, output = acpilot("convert", "folder", folder=tmp_path)
    (line,) = output.splitlines()
    assert code == 1
    assert line.startswith(f"acpilot: {tmp_path / 'acpilot.toml'}, line 2: ")
    assert r"\\ for each \ in it" in line
