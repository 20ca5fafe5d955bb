"""Errors whose message a user can act on."""


class TiledVaeError(ValueError):
    """A setting, size, layout or memory limit that cannot work; the message names it and says what is allowed."""


class Interrupted(Exception):  # noqa: N818
    """The caller's `should_stop` asked to stop; nothing is wrong, and there is no result."""


class NotFiniteError(ArithmeticError):
    """An activation overflowed or became NaN; the run is repeated once in a wider type."""
