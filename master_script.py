"""Records a session of Assetto Corsa through OBS Studio: ``python master_script.py``. Escape ends it.

Takes the flags of ``acpilot record`` too: ``python master_script.py --fps 20``.
"""

import sys

try:
    from acpilot.originals import master_script
except ModuleNotFoundError as missing:
    sys.exit(f'acpilot: {missing}: in acpilot\'s folder, type first: "{sys.executable}" -m pip install .')

OBS_HOST = "localhost"
OBS_PORT = 4455
OBS_PASSWORD = ""  # leave it empty: it is then read from the environment (OBS_PASSWORD), and cannot be committed

if __name__ == "__main__":
    master_script(OBS_HOST, OBS_PORT, OBS_PASSWORD)
