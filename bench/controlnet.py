"""Whether a panorama follows the edges that it is given.

`edge_f1`: over panoramas of 1024 x 256 along the edges of drawn landscapes, none of them in the ControlNet's training,
the agreement of the picture's edges with the hint (F1; edges up to 2 px apart agree); `without`: the same runs without
the ControlNet; `untiled`: single pictures of 128 x 128, the size that the model was made for; `real`: the drawn
landscapes themselves after a pass through the VAE, which is as good as it gets.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import max_pool2d

from tiled_diffusion import Extent, Settings
from tiled_diffusion.settings.request import Request
from tiled_diffusion.standalone.control import ControlNet, ControlNets, load_controlnet
from tiled_diffusion.standalone.control_hints import hint_of
from tiled_diffusion.standalone.images import fitted, to_images
from tiled_diffusion.standalone.model import Model, load_model
from tiled_diffusion.standalone.sampling import generate
from tiled_diffusion.standalone.vae import decode, encode

from .quality import drawn_landscapes

NEAR_PX = 2
FIRST = 90_500_000
PANORAMAS, SINGLES = 6, 24
TILING = Settings(tile_width=192, tile_height=192, overlap=96)
BASE = Request("", steps=20, cfg_scale=4.0, sampler="DDIM", tiling=TILING)
WIDE = replace(BASE, width=1024, height=256)
SINGLE = replace(BASE, width=128, height=128)


def edges(image: Image.Image) -> Tensor:
    """[1, 1, H, W] 0 or 1."""
    return hint_of(image, Extent(image.height // 8, image.width // 8), "canny")[:, :1]


def counts(picture: Tensor, hint: Tensor) -> np.ndarray:
    """Edges of the picture that are near one of the hint, edges of the picture, and the same the other way round."""
    side = 2 * NEAR_PX + 1
    near_picture, near_hint = (max_pool2d(e, side, 1, NEAR_PX) for e in (picture, hint))
    return np.array([float(v.sum()) for v in (picture * near_hint, picture, hint * near_picture, hint)])


def f1(total: np.ndarray) -> float:
    """Harmonic mean of precision and recall."""
    precision, recall = total[0] / max(total[1], 1), total[2] / max(total[3], 1)
    return float(2 * precision * recall / max(precision + recall, 1e-9))


def agreement(model: Model, net: Any, request: Request, number: int) -> dict[str, float]:
    """With the ControlNet, without it, and of the landscapes themselves."""
    totals = {name: np.zeros(4) for name in ("with", "without", "real")}
    for i, (image, caption) in enumerate(drawn_landscapes(FIRST, number, request.width, request.height)):
        hint = hint_of(image, Extent(request.height // 8, request.width // 8), "canny")
        asked = replace(request, prompt=caption, seed=2000 + i)
        guided, free = (
            generate(model, asked, controls=ControlNets(nets))[0] for nets in ((ControlNet(net, hint),), ())
        )
        for name, picture in (("with", guided), ("without", free), ("real", through_vae(model, image, asked))):
            totals[name] += counts(edges(picture), hint[:, :1])
    return {name: f1(total) for name, total in totals.items()}


@torch.no_grad()
def through_vae(model: Model, image: Image.Image, request: Request) -> Image.Image:
    """Encoded and decoded."""
    return to_images(decode(model, encode(model, fitted(image, request), request.tiling), request.tiling))[0]


def run() -> dict[str, Any]:
    """The section `controlnet` of the report."""
    model = load_model(device="cpu")
    net = load_controlnet("edges", model)
    wide = agreement(model, net, WIDE, PANORAMAS)
    single = agreement(model, net, SINGLE, SINGLES)
    return {
        "edge_f1": wide["with"],
        "edge_f1_without": wide["without"],
        "edge_f1_real": wide["real"],
        "edge_f1_untiled": single["with"],
        "edge_f1_untiled_without": single["without"],
        "times_without": wide["with"] / wide["without"],
        "of_untiled": wide["with"] / single["with"],
    }
