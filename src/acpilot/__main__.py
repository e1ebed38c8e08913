"""``python -m acpilot``."""

from acpilot.cli import main

if __name__ == "__main__":
    main()
