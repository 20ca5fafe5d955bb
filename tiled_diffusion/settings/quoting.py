"""Quotes a wrong value in an error message: enough to recognise it, never all of a large one."""

from __future__ import annotations

import reprlib

MOST = 100
"""Characters of a value that an error quotes."""
_REPR = reprlib.Repr()
_REPR.maxlevel = 3
_REPR.maxlist = _REPR.maxtuple = _REPR.maxdict = _REPR.maxset = 8
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = MOST


def quoted(value: object) -> str:
    """At most 100 characters of a value's repr; deep nesting and long lists are cut, whatever they hold."""
    if isinstance(value, int) and value.bit_length() > 300:  # Python refuses to write very long numbers
        return "a number of more than 90 digits"
    text = _REPR.repr(value)
    return text if len(text) <= MOST else text[: MOST - 3] + "..."


def shortened(text: object) -> str:
    """At most 100 characters of a text that holds somebody else's words, such as another library's error."""
    words = " ".join(str(text).split())
    return words if len(words) <= MOST else words[: MOST - 3] + "..."
