"""Photos of picture frames, rendered: a wall, a frame on it, its empty inside, light and noise, through a pinhole camera."""

import numpy as np
from PIL import Image, ImageFilter

from tiled_diffusion.recipes.frame.quad import homography, mapped, rectangle
from tiled_diffusion.recipes.frame.warp import warped

SCENE = (1200, 900)


def camera(yaw, pitch, roll, focal, distance, size, shift=(0.0, 0.0)):
    """[3, 3]: from the wall's plane (a unit is the frame's height, (0, 0) its middle) to the photo's pixels."""
    ys, yc, ps, pc, rs, rc = (f(np.radians(a)) for a in (yaw, pitch, roll) for f in (np.sin, np.cos))
    turn = (
        np.array([[rc, -rs, 0], [rs, rc, 0], [0, 0, 1]])
        @ np.array([[1, 0, 0], [0, pc, -ps], [0, ps, pc]])
        @ np.array([[yc, 0, ys], [0, 1, 0], [-ys, 0, yc]])
    )
    lens = np.array([[focal, 0, size[0] / 2], [0, focal, size[1] / 2], [0, 0, 1]])
    return lens @ np.column_stack([turn[:, 0], turn[:, 1], np.array([*shift, distance])])


def corners_of(lens, width, height=1.0):
    return mapped(lens, rectangle(width, height, -width / 2, -height / 2))


def photo_of_frame(shape=0.75, size=(640, 480), lens=None, seed=0, noise=4.0, border=0.07, inside=(236, 234, 230), wall=None):
    """The photo, and the true corners of the frame's inside in it."""
    rng = np.random.default_rng(seed)
    lens = camera(0, 0, 0, size[1], 1.8, size) if lens is None else lens
    px = SCENE[1] / 3  # the scene is 4 x 3 frame heights
    scene = np.empty((SCENE[1], SCENE[0], 3))
    scene[:] = rng.integers(90, 215, 3) if wall is None else wall
    stains = Image.fromarray(rng.integers(0, 255, (12, 16), dtype=np.uint8)).resize(SCENE, Image.Resampling.BICUBIC)
    scene += (np.asarray(stains, dtype=float)[..., None] - 127) * 0.06
    scene = Image.fromarray(scene.clip(0, 255).astype(np.uint8))
    middle = (SCENE[0] / 2, SCENE[1] / 2)

    def painted(image, grow, colour):
        w, h = (shape + 2 * grow) * px, (1 + 2 * grow) * px
        box = [round(n) for n in (middle[0] - w / 2, middle[1] - h / 2, middle[0] + w / 2, middle[1] + h / 2)]
        image.paste(colour, box)
        return box

    shadow = scene.copy()
    painted(shadow, border + 0.02, (40, 40, 40))
    scene = Image.blend(scene, shadow.filter(ImageFilter.GaussianBlur(12)), 0.5)
    painted(scene, border, tuple(int(n) for n in rng.integers(20, 90, 3)))
    box = painted(scene, 0, inside)
    true = rectangle(*((box[2] - box[0]) / px, (box[3] - box[1]) / px), (box[0] - middle[0]) / px, (box[1] - middle[1]) / px)
    corners = mapped(lens, true)
    to_scene = homography(corners, rectangle(box[2] - box[0], box[3] - box[1], box[0], box[1]))
    photo = np.asarray(warped(scene, to_scene, size), dtype=float)
    photo *= np.linspace(1.06, 0.9, size[0])[None, :, None]
    photo += rng.normal(0, noise, photo.shape)
    return Image.fromarray(photo.clip(0, 255).astype(np.uint8)), corners
