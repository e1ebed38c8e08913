"""A trained policy, whatever its file."""
