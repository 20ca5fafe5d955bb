"""A host without diffusers: its latents are means of pixels, its model mixes them with noise of the seed."""

import numpy as np
import torch
from PIL import Image

from tiled_diffusion.engine.noise import canvas_noise, placed_noise
from tiled_diffusion.errors import TiledError
from tiled_diffusion.recipes.host import Picture
from tiled_diffusion.recipes.progress import Progress

FACTOR = 4
UPSCALERS = {"lanczos": Image.Resampling.LANCZOS, "nearest": Image.Resampling.NEAREST}


class PlainHost:
    """Sides in multiples of 24, which is no power of two; a latent pixel is the mean of 4 x 4 pixels."""

    name = "plain"
    unit_px = 24
    native_px = 48

    def draw(self, tasks, progress=None):
        return [picture for task in tasks for picture in self._drawn(task, progress or Progress())]

    def _drawn(self, task, progress):
        request, size = task.request, (task.request.width, task.request.height)
        seeds = [request.seed + k for k in range(request.batch_size)]
        shape = (3, request.height // FACTOR, request.width // FACTOR)
        start = task.start or (Image.open(request.init_image) if request.init_image else None)
        strength = 1.0 if start is None else request.denoising_strength
        clean = torch.zeros(1, *shape) if start is None else self.encode([self.upscale(start, size)])
        latents, noise = clean.expand(len(seeds), *shape), canvas_noise(shape, seeds)
        if task.origin is not None:
            noise = placed_noise(shape, request.seed, task.origin[1] // FACTOR, task.origin[0] // FACTOR)[None]
        steps = int(request.steps * strength)
        progress.start(steps, 1)
        try:
            for i in range(steps):
                latents = latents + (noise - latents) * strength / request.steps
                progress.tiles(1)
                progress.step(i)
                progress.denoised(latents)
        finally:
            progress.finish()
        return [Picture(image, seed) for image, seed in zip(self.decode(latents), seeds, strict=True)]

    def encode(self, images, *, wrap_x=False, wrap_y=False):
        if len({image.size for image in images}) != 1:
            raise TiledError("encode: allowed are pictures of one size")
        if any(side % FACTOR for side in images[0].size):
            raise TiledError(f"encode: allowed are sides in multiples of {FACTOR}")
        pixels = np.stack([np.asarray(_on_white(image), dtype=np.float32) for image in images])
        pixels = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 127.5 - 1
        return torch.nn.functional.avg_pool2d(pixels, FACTOR)

    def decode(self, latents, *, wrap_x=False, wrap_y=False):
        pixels = latents.repeat_interleave(FACTOR, -1).repeat_interleave(FACTOR, -2)
        numbers = ((pixels.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        return [Image.fromarray(n) for n in numbers]

    def upscale(self, image, size, upscaler="lanczos"):
        if upscaler not in UPSCALERS:
            raise TiledError(f"upscaler: got {upscaler!r}, allowed is one of {', '.join(UPSCALERS)}")
        return _on_white(image).resize(size, UPSCALERS[upscaler])


def _on_white(image):
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
