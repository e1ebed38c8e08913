"""The original tool's name for ``acpilot convert``: asks for the session's folder when none is given."""

import sys

try:
    from acpilot.originals import convert_videos_to_dataset
except ModuleNotFoundError as missing:
    sys.exit(f'acpilot: {missing}: in acpilot\'s folder, type first: "{sys.executable}" -m pip install .')

if __name__ == "__main__":
    convert_videos_to_dataset()
