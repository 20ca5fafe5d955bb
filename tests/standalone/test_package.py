"""What a script imports from the package."""

import subprocess
import sys

import pytest

from tiled_diffusion import standalone

IMPORT_EVERYTHING = """
import pkgutil, importlib
from tiled_diffusion import standalone
for module in pkgutil.walk_packages(standalone.__path__, standalone.__name__ + "."):
    if not module.name.endswith(("__main__", "ray_workers")):  # the one that needs an extra
        importlib.import_module(module.name)
names = {name: getattr(standalone, name) for name in standalone.__all__}
wrong = [name for name, value in names.items() if not callable(value) or value.__name__ != name]
assert not wrong, wrong
from tiled_diffusion.standalone import generate, upscale
assert callable(generate) and callable(upscale)
"""
LAZY = """
import sys
import tiled_diffusion.standalone
from tiled_diffusion.standalone import Request, Settings
heavy = {"diffusers", "transformers", "gradio"} & sys.modules.keys()
assert not heavy, heavy
"""


@pytest.mark.parametrize("code", [IMPORT_EVERYTHING, LAZY], ids=["names are not hidden by modules", "lazy"])
def test_in_a_fresh_interpreter(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_name_that_is_promised_is_there():
    assert sorted(standalone.__all__) == sorted(standalone._MODULES)
    for name in standalone.__all__:
        assert getattr(standalone, name).__name__ == name


def test_other_names_are_refused():
    with pytest.raises(AttributeError, match="'enlarged'"):
        standalone.enlarged  # noqa: B018
