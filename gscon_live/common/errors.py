"""The two exceptions with which a command reports an error."""


class InputError(Exception):
    """The request or the input is wrong: exit code 2.

    The message is one line: what is wrong, where, and the remedy.
    """


class Failure(Exception):
    """The request is right but the work failed: exit code 1; the message as above."""
