"""What every function here raises."""


class Error(Exception):
    """A failure with the text that the command line prints; its last lines may be hints."""
