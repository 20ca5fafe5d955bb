"""Dots per inch in files that a WebUI has saved: written beside their pixels and records, which stay."""

from io import BytesIO

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


def with_exif(path, *, jfif):
    """As a WebUI writes a JPEG: EXIF with the record leads, and another picture with a JFIF header lies in it."""
    exif, thumbnail = Image.Exif(), BytesIO()
    Image.new("RGB", (8, 8)).save(thumbnail, format="JPEG")
    exif[0x010E], exif[0xC4A5] = "a tree", thumbnail.getvalue()
    saved(path, exif=exif)
    data = path.read_bytes()
    header, rest = data[2:20], data[20:]
    assert header[:9] == b"\xff\xe0\0\x10JFIF\0"
    length = 2 + int.from_bytes(rest[2:4], "big")
    assert b"JFIF" in rest[:length]
    path.write_bytes(data[:2] + rest[:length] + (header if jfif else b"") + rest[length:])


@pytest.mark.parametrize("jfif", [False, True])
def test_a_jpeg_that_begins_with_exif_keeps_it(tmp_path, jfif):
    path = tmp_path / "a.jpg"
    with_exif(path, jfif=jfif)
    with Image.open(path) as image:
        before = image.convert("RGB").tobytes()
    length = len(path.read_bytes())
    write_dpi(path, 240, 150)
    with Image.open(path) as image:
        assert image.info["dpi"] == (240, 150)
        assert image.getexif()[0x010E] == "a tree"
        assert image.convert("RGB").tobytes() == before
    assert len(path.read_bytes()) == length + (0 if jfif else 18)
    write_dpi(path, 72, 72)
    with Image.open(path) as image:
        assert image.info["dpi"] == (72, 72)
    assert path.read_bytes().count(b"JFIF") == 2


def test_a_png_that_has_one_and_other_files_stay_as_they_are(tmp_path):
    saved(tmp_path / "a.png", dpi=(100, 100))
    saved(tmp_path / "a.webp")
    (tmp_path / "a.txt").write_bytes(b"text")
    for path in sorted(tmp_path.iterdir()):
        before = path.read_bytes()
        write_dpi(path, 240, 240)
        assert path.read_bytes() == before, path.name
