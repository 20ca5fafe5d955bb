"""The engine runs where there is nothing but torch and numpy."""

import subprocess
import sys

SCRIPT = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"PIL", "gradio", "diffusers", "transformers", "safetensors", "tiled_vae", "modules", "cv2"}:
            raise ImportError(name + " is blocked")

sys.meta_path.insert(0, Blocked())
import torch
from tiled_diffusion import Batching, Extent, Planner, Region, Settings, fuse
from tiled_diffusion.engine import describe
from tiled_diffusion.engine.guides import bootstrap, control, pull

plan = Planner(Extent(64, 160), Settings(regions=(Region("a", w=0.4),), wrap_x=True)).plan()
x = torch.randn(1, 4, 64, 160)
out = fuse(x, plan, lambda crops, tiles: crops * 2, Batching(4))
assert torch.allclose(out, x * 2, atol=1e-5)
print(len(plan.tiles))
"""


def test_torch_and_numpy_are_enough():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 1
