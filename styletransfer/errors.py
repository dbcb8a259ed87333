"""The error for what a user can put right."""


class InputError(Exception):
    """A mistake that the user can fix.

    The message is one sentence; the command line prints it and exits with code 2.
    """
