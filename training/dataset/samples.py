"""Pictures with their captions, by seed."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
from PIL import Image

from training.dataset.captions import make_caption
from training.dataset.render import render
from training.dataset.scenes import Scene, make_scene, make_zoomed


def make_sample(seed: int, width: int = 128, height: int = 128) -> tuple[Image.Image, str, Scene]:
    """Picture, caption and scene; one in eight pictures of 128x128 is a magnified window."""
    if (width, height) == (128, 128) and random.Random(seed * 17 + 1).random() < 0.125:
        scene = make_zoomed(seed)
    else:
        scene = make_scene(seed, width, height)
    return render(scene), make_caption(scene), scene


def pixels_and_captions(seeds: Sequence[int], width: int, height: int) -> tuple[np.ndarray, list[str]]:
    """[n, H, W, 3] in 0..255, and what is said about each."""
    samples = [make_sample(seed, width, height) for seed in seeds]
    return np.stack([np.asarray(picture) for picture, _, _ in samples]), [caption for _, caption, _ in samples]
