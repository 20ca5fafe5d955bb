"""Drawn 'storybook landscapes' with captions, which the small model is trained on.

Every sample is a pure function of its integer seed:

    image, caption, scene = make_sample(seed, width=128, height=128)

`image` is a PIL RGB image, `caption` a short English description and `scene` the plain dict it was drawn
from (sky, ground, objects with kind, colour, position and size).  Scenes have a horizon that runs straight
through the picture, so that pictures made of overlapping tiles (panoramas) make sense; objects keep their
size when the canvas grows, there are only more of them.  One picture of 128x128 in eight is a window into a scene drawn
twice as big, captioned 'close up of ...' or 'a big ...'.  Captions name and count every object.
"""

from training.dataset.captions import make_caption
from training.dataset.colours import COLOURS, GROUNDS, SKIES, tint
from training.dataset.render import render
from training.dataset.samples import make_sample, pixels_and_captions
from training.dataset.scenes import GROUND_OBJECTS, OBJECT_COLOURS, make_scene, make_zoomed
from training.dataset.sheet import contact_sheet
from training.dataset.words import OBJECT_WORDS, PLURALS, vocabulary

__all__ = [
    "COLOURS",
    "GROUNDS",
    "GROUND_OBJECTS",
    "OBJECT_COLOURS",
    "OBJECT_WORDS",
    "PLURALS",
    "SKIES",
    "contact_sheet",
    "make_caption",
    "make_sample",
    "make_scene",
    "make_zoomed",
    "pixels_and_captions",
    "render",
    "tint",
    "vocabulary",
]
