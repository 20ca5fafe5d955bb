"""What serves the files of mosaics: theirs, and nothing else."""

import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.testclient import TestClient

from tiled_diffusion.ui.mosaic_view import add_mosaic_route, viewer_html


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "mosaics" / "a b"
    (path / "1_files" / "3").mkdir(parents=True)
    (path / "index.html").write_text("page")
    (path / "1_files" / "3" / "0_0.png").write_bytes(b"tile")
    (path / "mosaic.json").write_text("{}")
    (tmp_path / "secret.png").write_bytes(b"secret")
    return tmp_path / "mosaics"


def client(folder, *dependencies):
    app = FastAPI()
    add_mosaic_route(app, lambda: folder, dependencies)
    return TestClient(app)


def test_its_files(folder):
    get = client(folder).get
    assert get("/tiled-diffusion/mosaics/a%20b/index.html").text == "page"
    assert get("/tiled-diffusion/mosaics/a%20b/1_files/3/0_0.png").content == b"tile"


@pytest.mark.parametrize("path", ["..%2Fsecret.png", "a%20b/..%2F..%2Fsecret.png", "%2Fetc%2Fpasswd", "a%20b/mosaic.json", "a%20b", "a%20b/none.png"])
def test_nothing_else(path, folder):
    assert client(folder).get(f"/tiled-diffusion/mosaics/{path}").status_code == 404


def test_behind_a_log_in(folder):
    def refuse():
        raise HTTPException(401)

    assert client(folder, Depends(refuse)).get("/tiled-diffusion/mosaics/a%20b/index.html").status_code == 401


def test_viewer_and_player(folder):
    path = folder / "a b"
    assert "<video" not in viewer_html(path)
    assert 'src="/tiled-diffusion/mosaics/a%20b/index.html"' in viewer_html(path)
    (path / "zoom.gif").write_bytes(b"x")
    assert "<img" in viewer_html(path)
    (path / "zoom.webm").write_bytes(b"x")
    assert "<video" in viewer_html(path)
