"""What a page is told of a frame in a photo: its corners, how it looks from the front, and what is wrong."""

import base64
import io
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from PIL import Image

from tests.recipes.frame.rendered import camera, photo_of_frame
from tiled_diffusion.engine.model import ModelTraits
from tiled_diffusion.settings.presets import Presets
from tiled_diffusion.ui import routes
from tiled_diffusion.ui.frame_view import corner_editor_html
from tiled_diffusion.ui.routes import add_routes

SIZE = (640, 480)
PHOTO, CORNERS = photo_of_frame(0.75, SIZE, camera(-18, 8, 2, 520, 2.0, SIZE), seed=3)
FRACTIONS = (CORNERS / SIZE).tolist()


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    app = FastAPI()
    presets = Presets(tmp_path_factory.mktemp("presets"))
    add_routes(app, presets, lambda: ModelTraits(64, 8), lambda text: (0, 75))
    with TestClient(app) as client:

        def answer(**data):
            return client.post("/tiled-diffusion/frame", json=data)

        answer.client = client
        yield answer


def as_data(image, kind="PNG"):
    file = io.BytesIO()
    image.save(file, format=kind)
    return f"data:image/{kind.lower()};base64," + base64.b64encode(file.getvalue()).decode()


def test_given_corners_are_seen_from_the_front(ask):
    answer = ask(picture=as_data(PHOTO), corners=FRACTIONS[::-1], context=0.5).json()
    assert np.allclose(answer["corners"], FRACTIONS)
    assert abs(answer["shape"] / 0.75 - 1) < 0.03
    assert answer["told"] is True
    flat = Image.open(io.BytesIO(base64.b64decode(answer["flat"].split(",")[1])))
    assert abs(flat.width * flat.height / (192 * 192 * 4) - 1) < 0.1
    grey = np.asarray(flat.convert("L"), dtype=float)
    high, wide = grey.shape
    assert grey[high * 3 // 8 : high * 5 // 8, wide * 3 // 8 : wide * 5 // 8].min() > 180  # the empty inside
    assert ask(picture=as_data(PHOTO), corners=FRACTIONS, shape=1.5).json()["shape"] == pytest.approx(1.5, abs=0.01)


def test_without_corners_the_frame_is_looked_for(ask):
    answer = ask(picture=as_data(PHOTO, "JPEG"), corners=None).json()
    assert np.abs(np.array(answer["corners"]) - FRACTIONS).max() < 0.005


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"picture": None}, "picture: allowed is a data URL"),
        ({"picture": "/etc/passwd"}, "picture: allowed is a data URL"),
        ({"picture": "data:image/png;base64,AAAA"}, "cannot be read as a picture"),
        ({"picture": as_data(Image.new("RGB", SIZE, "grey"))}, "corners: no frame is seen"),
        ({"corners": [[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]}, "corners: the sides cross"),
        ({"corners": [[0, 0], [1, 0], [1, 2], [0, 1]]}, "corners: got"),
        ({"corners": FRACTIONS, "context": 9}, "context: got 9"),
        ({"corners": FRACTIONS, "feathers": 9}, "unknown field 'feathers'"),
    ],
)
def test_what_is_wrong_is_told(ask, data, message):
    answer = ask(**{"picture": as_data(PHOTO), **data})
    assert answer.status_code == 422
    assert message in answer.json()["detail"]


def test_without_opencv_the_corners_have_to_be_dragged(ask, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.delitem(sys.modules, "tiled_diffusion.recipes.frame.find", raising=False)
    answer = ask(picture=as_data(PHOTO), corners=None)
    assert answer.status_code == 422
    assert "opencv is needed; drag the corners" in answer.json()["detail"]
    assert ask(picture=as_data(PHOTO), corners=FRACTIONS).status_code == 200


def test_while_a_frame_is_looked_at_other_requests_are_answered(ask, monkeypatch):
    begun, go_on = threading.Event(), threading.Event()

    def slow(data):
        begun.set()
        return {"in time": go_on.wait(5)}

    monkeypatch.setattr(routes, "looked_at", slow)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, picture="")
        assert begun.wait(10)
        assert ask.client.get("/tiled-diffusion/presets").status_code == 200
        go_on.set()
        assert answer.result(10).json() == {"in time": True}


def test_the_element_names_its_components():
    html = corner_editor_html("a", photo='#b "c"', context="d")
    assert 'data-carrier="a" data-photo="#b &quot;c&quot;" data-context="d" data-shape=""' in html
