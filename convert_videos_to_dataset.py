"""The original tool's name for ``acpilot convert``: asks for the session's folder when none is given."""

import sys

try:
    from acpilot.cli import main
    from acpilot.settings import SESSIONS_FOLDER
except ModuleNotFoundError as missing:
    sys.exit(f"acpilot: {missing}: in acpilot's folder, type '{sys.executable} -m pip install .' first")

if __name__ == "__main__":
    if len(sys.argv) == 1:
        try:
            answer = input(f"Folder of the session (such as {SESSIONS_FOLDER / '20261122_191500'}): ")
        except (EOFError, KeyboardInterrupt):
            answer = ""
        answer = answer.strip().strip("\"'")
        if not answer:
            sys.exit("acpilot: no folder given")
        sys.argv.append(answer)
    sys.argv.insert(1, "convert")
    main()
