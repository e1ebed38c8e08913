"""The session folder: its files, its manifest, its labels and marks."""
