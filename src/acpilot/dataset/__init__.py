"""Sessions → training data."""
