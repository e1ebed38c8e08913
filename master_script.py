"""Records a session of Assetto Corsa through OBS Studio: ``python master_script.py``. Escape ends it.

Takes the flags of ``acpilot record`` too: ``python master_script.py --fps 20``.
"""

import os
import sys

try:
    from acpilot.cli import main
except ModuleNotFoundError as missing:
    sys.exit(f"acpilot: {missing}: in acpilot's folder, type '{sys.executable} -m pip install .' first")

OBS_HOST = "localhost"
OBS_PORT = 4455
OBS_PASSWORD = ""  # leave it empty: it is then read from the environment (OBS_PASSWORD), and cannot be committed

if __name__ == "__main__":
    if OBS_PASSWORD:
        os.environ["ACPILOT_OBS_PASSWORD"] = OBS_PASSWORD
    obs = ["--recorder", "obs", "--obs-host", OBS_HOST, "--obs-port", str(OBS_PORT)]
    sys.argv[1:] = ["record", *obs, *sys.argv[1:]]
    main()
