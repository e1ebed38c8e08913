"""The game's numbers: what they are, where the game publishes them, and the log of every physics step seen."""
