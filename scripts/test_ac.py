"""The original tool's name: lets the network in ``best_save/model.ckpt`` drive, ``python scripts/test_ac.py``.

Grabs the game's window, asks the network through a TensorFlow session, moves an Xbox gamepad, and prints a line a
second; Escape ends it. ``--model PATH`` names another one; takes the flags of ``acpilot drive`` too.
"""

import sys

try:
    from acpilot.cli import main
except ModuleNotFoundError as missing:
    sys.exit(f"acpilot: {missing}: in acpilot's folder, type '{sys.executable} -m pip install .' first")

if __name__ == "__main__":
    given = any(word == "--model" or word.startswith("--model=") for word in sys.argv[1:])
    sys.argv[1:] = ["drive", *([] if given else ["--model", "best_save/model.ckpt"]), *sys.argv[1:]]
    main()
