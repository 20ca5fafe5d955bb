"""Errors whose message a user can act on."""


class TiledError(ValueError):
    """A setting, size or file that cannot be used; the message names it and says what is allowed."""


class SettingsError(TiledError):
    """A field of the settings is wrong; the message names the field, what it got and what it may be."""


class OutOfMemoryError(TiledError):
    """Not even one tile fits into memory; the message says how large the tile was."""
