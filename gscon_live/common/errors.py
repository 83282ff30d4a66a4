"""The two ways in which a command ends badly on purpose."""


class InputError(Exception):
    """The request or the input is wrong: exit code 2.

    The message is one line: what is wrong, where, and the remedy.
    """


class Failure(Exception):
    """The request was right and the work failed: exit code 1, one line as above."""
