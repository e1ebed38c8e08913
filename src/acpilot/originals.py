"""The original tool's scripts by their names: as commands of an installed acpilot, and for the files in its folder."""

import os
import sys

from acpilot.settings import SESSIONS_FOLDER


def master_script(host: str = "localhost", port: int = 4455, password: str = "") -> None:
    """Record a session of Assetto Corsa through OBS Studio; Escape ends it. Takes the flags of ``acpilot record`` too.

    Args:
        host: machine on which OBS runs.
        port: of its websocket server.
        password: of that; when empty, it is read from the environment (OBS_PASSWORD) or its file.
    """
    if password:
        os.environ["ACPILOT_OBS_PASSWORD"] = password
    obs = ["--recorder", "obs", "--obs-host", host, "--obs-port", str(port)]
    _run("record", *obs, *sys.argv[1:])


def convert_videos_to_dataset() -> None:
    """Convert a session, as ``acpilot convert``: asks for its folder when none is given."""
    words = sys.argv[1:]
    if not words:
        try:
            answer = input(f"Folder of the session (such as {SESSIONS_FOLDER / '20261122_191500'}): ")
        except (EOFError, KeyboardInterrupt):
            answer = ""
        words = [answer.strip().strip("\"'")]
        if not words[0]:
            sys.exit("acpilot: no folder given")
    _run("convert", *words)


def test_ac() -> None:
    """Let the network in ``best_save/model.ckpt``, or another one (``--model``), drive: as ``acpilot drive``."""
    words = sys.argv[1:]
    given = any(word == "--model" or word.startswith("--model=") for word in words)
    _run("drive", *([] if given else ["--model", "best_save/model.ckpt"]), *words)


def _run(*words: str) -> None:
    from acpilot.cli import main

    sys.argv[1:] = words
    main()
