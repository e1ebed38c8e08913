"""Policy → game: how commands reach a game."""
