"""Small pictures in small blocks, on the host without diffusers."""

import hashlib

from tests.recipes.mosaic.common import Host, photo
from tiled_diffusion.recipes.blocks.draw import How, enlarge_in_blocks, enlargement
from tiled_diffusion.settings.request import Request
from tiled_diffusion.settings.values import Settings

TILING = Settings(tile_width=72, tile_height=72, overlap=24)
REQUEST = Request("a tree", steps=4, sampler="DDIM", denoising_strength=0.4, seed=7, tiling=TILING)
SCALE = 9


def job(picture=None, request=REQUEST, scale=SCALE, **more):
    return enlargement(Host(), request, picture or photo(), scale, **{"block": 264, **more})


def drawn(path, settings=None, *, host=None, picture=None, **more):
    return list(enlarge_in_blocks(host or Host(), settings or job(), path, picture or photo(), How(**more)))


def digests(path):
    """Of every tile of every level, and of what was enlarged."""
    files = [*path.glob("1_files/*/*"), path / "0.png"]
    return {p.relative_to(path).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
