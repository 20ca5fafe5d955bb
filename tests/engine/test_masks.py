"""Free masks: how much of each pixel lies inside."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tiled_diffusion.settings.masks import Mask

SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))
MIDDLE = ((0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75))
LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
TRIANGLE = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))

AREAS = [((SQUARE,), 1.0), ((MIDDLE,), 0.25), ((LEFT,), 0.5), ((TRIANGLE,), 0.5), ((SQUARE, MIDDLE), 0.75)]


@pytest.mark.parametrize(("polygons", "area"), AREAS)
@pytest.mark.parametrize("size", [(64, 64), (37, 53), (128, 20)])
def test_area_of_polygons(polygons, area, size):
    drawn = Mask(polygons=polygons).drawn(*size)
    assert drawn.shape == size
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert drawn.mean() == pytest.approx(area, abs=0.03)


def test_a_square_of_whole_pixels_is_exact():
    drawn = Mask(polygons=(LEFT,)).drawn(8, 8)
    assert (drawn[:, :4] == 1).all()
    assert (drawn[:, 4:] == 0).all()


@pytest.mark.parametrize("size", [(8, 8), (4, 4), (16, 32), (9, 31)])
def test_a_picture_is_stretched(size):
    grey = np.zeros((8, 8), dtype=np.uint8)
    grey[:, :4] = 255
    file = io.BytesIO()
    Image.fromarray(grey).save(file, "PNG")
    drawn = Mask(picture=base64.b64encode(file.getvalue()).decode()).drawn(*size)
    assert drawn.shape == size
    assert drawn.mean() == pytest.approx(0.5, abs=0.02)
    assert (drawn[:, 0] == 1).all()
    assert (drawn[:, -1] == 0).all()
