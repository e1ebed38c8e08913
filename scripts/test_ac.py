"""The original tool's name: lets the network in ``best_save/model.ckpt`` drive, ``python scripts/test_ac.py``.

Grabs the game's window, asks the network through a TensorFlow session, moves an Xbox gamepad, and prints a line a
second; Escape ends it. ``--model PATH`` names another one; takes the flags of ``acpilot drive`` too.
"""

import sys

try:
    from acpilot.originals import test_ac
except ModuleNotFoundError as missing:
    sys.exit(f'acpilot: {missing}: in acpilot\'s folder, type first: "{sys.executable}" -m pip install .')

if __name__ == "__main__":
    test_ac()
