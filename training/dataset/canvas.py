"""The canvas that a scene is painted on, and the strokes that several things share."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw

from training.dataset.colours import COLOURS, GROUNDS, SKIES, Rgb, mix, tint
from training.dataset.scenes import SIZES, Scene, Thing

SUPERSAMPLING = 2
Line = list[tuple[float, float]]


class Canvas:
    """A scene's picture while it is painted, larger than the picture will be.

    `unit` is the canvas pixels per picture pixel of an unmagnified scene; width, height and horizon are canvas pixels.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.unit: int = SUPERSAMPLING * scene.get("zoom", 1)
        self.random = random.Random(scene["seed"] * 7919 + 13)
        self.noise_random = np.random.RandomState((scene["seed"] * 104729 + 5) % (2**31))
        self.width: int = scene["width"] * self.unit
        self.height: int = scene["height"] * self.unit
        self.horizon: float = scene["horizon"] * self.unit
        self.sky = SKIES[scene["sky"]]
        self.image = self._sky_gradient()
        self.pen = ImageDraw.Draw(self.image)

    def _sky_gradient(self) -> Image.Image:
        stops = np.array(self.sky["stops"], np.float32)
        t = np.clip(np.arange(self.height) / max(1, self.horizon), 0, 1) * (len(stops) - 1)
        i = np.minimum(t.astype(int), len(stops) - 2)
        rows = stops[i] + (stops[i + 1] - stops[i]) * (t - i)[:, None]
        pixels = np.broadcast_to(rows[:, None, :], (self.height, self.width, 3)) + self._noise(5, 2.5)
        return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))

    def _noise(self, cells: int, amplitude: float) -> np.ndarray:
        """[H, W, 1]: smooth noise, wider than high, to be added to an array."""
        shape = max(2, self.height * cells // 128), max(2, self.width * cells // 256)
        small = Image.fromarray(self.noise_random.normal(0, 1, shape).astype(np.float32))
        return (np.asarray(small.resize((self.width, self.height), Image.Resampling.BICUBIC)) * amplitude)[..., None]

    def on_ground(self, colour: Iterable[int]) -> Rgb:
        """The colour in the light that the sky throws on the ground."""
        return tint(colour, self.sky["ground"])

    def on_object(self, colour: Iterable[int]) -> Rgb:
        """The colour in the light that the sky throws on things."""
        return tint(colour, self.sky["obj"])

    def box(self, thing: Thing) -> tuple[float, float, float, float, Rgb]:
        """Position, width, height and lit colour of a thing."""
        w, h = (v * thing["scale"] * self.unit for v in SIZES[thing["kind"]])
        return thing["x"] * self.unit, thing["y"] * self.unit, w, h, self.on_object(COLOURS[thing["colour"]])

    def ellipse(self, x: float, y: float, rx: float, ry: float, fill: Rgb) -> None:
        """Around a middle, with two radii."""
        self.pen.ellipse((x - rx, y - ry, x + rx, y + ry), fill=fill)

    def shadow(self, x: float, y: float, w: float) -> None:
        """Under a thing that stands on the ground."""
        colour = mix(GROUNDS[self.scene["ground"]][1], (20, 24, 40), 0.35)
        self.ellipse(x, y, w * 0.55, 2.2 * self.unit, self.on_ground(colour))

    def level(self) -> Line:
        """The horizon as a straight line."""
        return [(0, self.horizon), (self.width + 8, self.horizon)]

    def wave_line(self, y: float, amplitude: float) -> Line:
        """A horizontal line of gentle hills."""
        r = self.random
        waves = [(r.uniform(0.5, 1.6), r.uniform(0, 6.3), r.uniform(0.4, 1)) for _ in range(3)]

        def rise(x: int) -> float:
            return sum(a * math.sin(x / (128 * self.unit) * 6.283 * f + p) for f, p, a in waves)

        return [(x, y + amplitude * rise(x) / 2) for x in range(0, self.width + 9, 8)]

    def below(self, line: Line, fill: Rgb) -> None:
        """Fills everything below a line."""
        self.pen.polygon([*line, (self.width + 8, self.height), (0, self.height)], fill=fill)

    def gradient_ground(self, line: Line, amplitude: float = 4.0, cells: int = 14) -> None:
        """The ground below a line, from its far colour to its near one, with some noise."""
        far, near = (np.array(self.on_ground(c), np.float32) for c in GROUNDS[self.scene["ground"]])
        t = np.clip((np.arange(self.height) - self.horizon) / max(1, self.height - self.horizon), 0, 1)[:, None, None]
        pixels = far + (near - far) * t + self._noise(cells, amplitude)
        mask = Image.new("L", (self.width, self.height), 0)
        ImageDraw.Draw(mask).polygon([*line, (self.width + 8, self.height), (0, self.height)], fill=255)
        self.image.paste(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)), (0, 0), mask)

    def hills(self, shades: Sequence[tuple[float, float]], amplitude: float) -> None:
        """Waves across the ground: how far down each begins, and how near its colour is."""
        far, near = GROUNDS[self.scene["ground"]]
        for depth, nearness in shades:
            y = self.horizon + (self.height - self.horizon) * depth
            self.below(self.wave_line(y, amplitude * self.unit), self.on_ground(mix(far, near, nearness)))
