"""The one exception that people are meant to read."""


class AcpilotError(Exception):
    """A fault that the user can mend: the message is one line saying what is wrong, where, and the remedy."""
