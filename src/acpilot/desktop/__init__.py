"""The operating system: windows, pictures of them, keys; the only place that knows it."""
