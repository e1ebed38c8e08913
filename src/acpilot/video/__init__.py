"""The game's pictures, each with the instant at which it was on the screen."""
