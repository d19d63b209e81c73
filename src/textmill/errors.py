"""The one error a user is meant to read."""


class UserError(Exception):
    """Something the person at the keyboard can put right: shown as its message, without a traceback.

    The message says what went wrong, where (file, line, key), what was found and what would be right.
    """
