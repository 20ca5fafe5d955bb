"""What `make release` packs works as an extension by itself, and the version is the same wherever it stands."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import tiled_diffusion

ROOT = Path(__file__).parents[1]
MOST_BYTES = 25 * 2**20
LEFT_OUT = {"tests", "training", "bench", ".ci", "types"}
PICTURES = {".png", ".jpg", ".webm", ".gif", ".svg"}
LOADED = """
import runpy, sys
from pathlib import Path
scripts = sorted((Path.cwd() / "scripts").glob("*.py"))
names = [name for path in scripts for name in runpy.run_path(str(path))["__all__"]]
import tiled_diffusion
assert Path(tiled_diffusion.__file__).is_relative_to(Path.cwd()), tiled_diffusion.__file__
print(" ".join(names))
"""


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The release's zip, and the folder that comes out of it."""
    if shutil.which("make") is None or not (ROOT / ".git").exists():
        pytest.skip("make and a git clone are needed to pack a release")
    folder = tmp_path_factory.mktemp("release")
    packed = folder / "release.zip"
    subprocess.run(["make", "--silent", "release", f"RELEASE={packed}"], cwd=ROOT, check=True)
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(folder)
    return packed, folder / "tiled-diffusion"


def test_it_is_small_and_has_what_a_webui_needs(unpacked):
    packed, folder = unpacked
    assert packed.stat().st_size < MOST_BYTES
    names = {path.name for path in folder.iterdir()}
    assert {"install.py", "scripts", "javascript", "localizations", "style.css", "LICENSE", "README.md"} <= names
    assert names & LEFT_OUT == set()
    assert [path for path in folder.rglob("*") if path.suffix in PICTURES] == []


def test_its_scripts_load(unpacked):
    _, folder = unpacked
    environment = {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT / "tests" / "webui" / "fakes")]), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", LOADED], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["TiledDiffusionScript", "UniqueNameScript", "FrameScript", "HypermosaicScript", "TiledVaeScript"]


def test_there_is_one_version():
    project = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.MULTILINE)
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert project[1] == newest[1] == tiled_diffusion.__version__
