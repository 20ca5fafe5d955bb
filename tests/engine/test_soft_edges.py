"""The figures in tests/fixtures/soft_edges.json, which the region editor draws by, are what the engine blends with.

`python -m tests.engine.test_soft_edges` writes them anew.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from tiled_diffusion.engine.geometry import Extent
from tiled_diffusion.engine.masks import region_mask
from tiled_diffusion.settings.values import Region

FILE = Path(__file__).parents[1] / "fixtures" / "soft_edges.json"
CANVAS = Extent(192, 256)
BOXES = {
    "middle": (0.25, 0.25, 0.5, 0.5),
    "left": (0, 0.125, 0.4375, 0.75),
    "corner": (0.5, 0.5, 0.5, 0.5),
    "thin": (0.125, 0.5, 0.75, 0.0625),
}


def cases():
    for place, (x, y, w, h) in BOXES.items():
        for layer in ("background", "foreground"):
            for feather, shape in ((0.0, "smooth"), (0.25, "smooth"), (0.5, "linear"), (1.0, "quadratic")):
                yield (
                    place,
                    {
                        "prompt": "",
                        "x": x,
                        "y": y,
                        "w": w,
                        "h": h,
                        "layer": layer,
                        "feather": feather,
                        "feather_shape": shape,
                    },
                )


def points():
    rng = np.random.default_rng(3)
    return [(int(x), int(y)) for x, y in zip(rng.integers(0, 256, 40), rng.integers(0, 192, 40), strict=True)]


def computed():
    found = []
    for place, fields in cases():
        mask = region_mask(Region(**fields), CANVAS)
        found.append(
            {
                "name": f"{place} {fields['layer']} {fields['feather']}",
                "region": fields,
                "values": [[x, y, round(float(mask[y, x]), 6)] for x, y in points()],
            }
        )
    return {"width": CANVAS.w, "height": CANVAS.h, "cases": found}


@pytest.mark.parametrize("case", computed()["cases"], ids=lambda c: c["name"])
def test_the_fixture_is_what_the_engine_blends_with(case):
    kept = {c["name"]: c for c in json.loads(FILE.read_text(encoding="utf-8"))["cases"]}[case["name"]]
    assert kept["region"] == case["region"]
    assert np.allclose(kept["values"], case["values"], atol=1e-6)


if __name__ == "__main__":
    FILE.write_text(json.dumps(computed()) + "\n", encoding="utf-8")
