"""The one exception whose message is written for the person at the command line."""


class UserError(Exception):
    """Something the user can put right: a name, a file, a value.

    The message is one line that says what is wrong and what to do; the commands print it without a
    traceback and exit with status 2.
    """
