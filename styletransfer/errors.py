"""What can go wrong with what a user gives."""


class InputError(Exception):
    """A mistake that the user can mend. The message is one sentence; the command prints it and
    exits with code 2.
    """
