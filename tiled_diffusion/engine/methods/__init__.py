"""The table of methods: each says where the tiles of one axis lie and how much each counts.

The settings' table names them; the method of a name is the `METHOD` in the file of that name. To add one, write a file,
add a choice to `METHODS` in settings/values.py, and a row to the table in the tests (see CONTRIBUTING.md).
"""

from importlib import import_module

from tiled_diffusion.settings import values

from .method import Method

METHODS: dict[str, Method] = {name: import_module(f"{__name__}.{name}").METHOD for name in values.METHODS.names}

__all__ = ["METHODS", "Method"]
