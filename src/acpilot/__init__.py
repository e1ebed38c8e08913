"""acpilot turns laps driven in Assetto Corsa into a driver: record, convert, train, drive, evaluate."""

__version__ = "0.1.0"
