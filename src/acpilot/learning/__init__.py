"""Training data → policy."""
