"""Dots per inch in files that a WebUI has saved: written beside their pixels and records, which stay."""

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tiled_diffusion.webui.dpi import write_dpi


def saved(path, **options):
    Image.effect_mandelbrot((64, 48), (-2, -1.5, 1, 1.5), 50).convert("RGB").save(path, **options)
    return Image.open(path).convert("RGB").tobytes()


@pytest.mark.parametrize("dpi", [(240, 240), (150.5, 72)])
@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_the_file_has_the_dpi_and_the_same_pixels(tmp_path, ending, dpi):
    info = PngInfo()
    info.add_itxt("parameters", "a tree\nSteps: 20")
    path = tmp_path / f"a.{ending}"
    before = saved(path, **({"pnginfo": info} if ending == "png" else {}))
    write_dpi(path, *dpi)
    with Image.open(path) as image:
        assert [float(n) for n in image.info["dpi"]] == pytest.approx(dpi, abs=0.6)
        assert image.convert("RGB").tobytes() == before
        assert ending == "jpg" or image.text["parameters"] == "a tree\nSteps: 20"
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_png_that_has_one_and_other_files_stay_as_they_are(tmp_path):
    saved(tmp_path / "a.png", dpi=(100, 100))
    saved(tmp_path / "a.webp")
    (tmp_path / "a.txt").write_bytes(b"text")
    for path in sorted(tmp_path.iterdir()):
        before = path.read_bytes()
        write_dpi(path, 240, 240)
        assert path.read_bytes() == before, path.name
