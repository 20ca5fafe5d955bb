"""The launch script names what is too old or in the way, says nothing where all is well, and never stops the host."""

import ast
import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import install

ROOT = Path(__file__).parent.parent
SCRIPT = ROOT / "install.py"
NEEDED = {"torch": "2.1.2+cu121", "gradio": "3.41.2"}


def library(site, name, metadata):
    """Puts a library with this metadata, None for a broken entry, into the folder."""
    (site / name).mkdir(parents=True)
    (site / name / "__init__.py").write_text("raise RuntimeError('nobody needs to import this')\n")
    entry = site / f"{name}-1.dist-info"
    entry.mkdir()
    if metadata is not None:
        (entry / "METADATA").write_text(metadata)


def site_with(folder, **versions):
    """The folder, with libraries of these versions in it; None leaves one out."""
    for name, version in {**NEEDED, **versions}.items():
        if version is not None:
            library(folder, name, f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return folder


def launched(*site, before="", flags=("-S",), **environment):
    """What the script says as the host starts it: in another folder, with the libraries of these folders alone.

    The Python code `before` stands for what an installation runs when the interpreter starts.
    """
    program = ["-c", f"{before}\nimport runpy\nrunpy.run_path({str(SCRIPT)!r}, run_name='__main__')"]
    done = subprocess.run(
        [sys.executable, *flags, *(program if before else [str(SCRIPT)])],
        cwd=site[0] if site else ROOT.parent,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, site)), **environment},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode("utf-8")


@pytest.mark.parametrize(
    ("version", "named"),
    [
        ("2.0.1", "2.0.1"),
        ("1.13.1+cu117", "1.13.1+cu117"),
        ("2.0.0a0+gite9ebda2", "2.0.0a0+gite9ebda2"),
        ("2.0 \n2.3", "2.0"),
        ("1.9." + "9" * 500, "1.9." + "9" * 79),
        ("2.1.0", None),
        ("2.1", None),
        ("2.1.2+cu121", None),
        ("2.3.0a0+git", None),
        ("2.10.0", None),
        ("3.0", None),
        ("main", None),
        ("2", None),
        ("", None),
        (None, None),
    ],
)
def test_versions_are_read_as_numbers(version, named):
    told = f"torch {named} is too old, 2.1 or newer is needed" if named else None
    assert install.too_old("torch", version, (2, 1)) == told


@pytest.mark.parametrize(
    ("versions", "told"),
    [
        ({}, ""),
        ({"torch": "2.0.1"}, "torch 2.0.1 is too old, 2.1 or newer is needed"),
        ({"gradio": "3.39.0"}, "gradio 3.39.0 is too old, 3.41 or newer is needed"),
        ({"torch": None}, "torch is missing, 2.1 or newer is needed"),
        ({"gradio": "4.40.0", "torch": "unknown"}, ""),
        (
            {"torch": "2.0.1", "gradio": None},
            "torch 2.0.1 is too old, 2.1 or newer is needed; gradio is missing, 3.41 or newer is needed",
        ),
    ],
)
def test_everything_that_is_too_old_or_missing_is_one_line(tmp_path, versions, told):
    assert launched(site_with(tmp_path, **versions)) == (f"Tiled Diffusion & VAE: {told}\n" if told else "")


@pytest.mark.parametrize("metadata", [None, "", "Name: torch\n", "\xff\n\n\x00"])
def test_a_broken_entry_is_nothing_to_complain_of(tmp_path, metadata):
    library(site_with(tmp_path, torch=None), "torch", metadata)
    assert launched(tmp_path) == ""


def test_a_library_without_an_entry_is_not_missing(tmp_path):
    (site_with(tmp_path, torch=None) / "torch").mkdir()
    (tmp_path / "torch/__init__.py").touch()
    assert launched(tmp_path) == ""


def test_an_old_python_is_named_first(monkeypatch):
    monkeypatch.setattr(sys, "version", "3.9.18 (main, Aug 28 2023)")
    assert install.complaints()[0] == "Python 3.9.18 is too old, 3.10 or newer is needed"


def test_nothing_is_said_in_the_environment_of_these_tests():
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    assert launched(*map(Path, paths)) == ""


@pytest.mark.parametrize("place", ["tiled_vae/__init__.py", "tiled_diffusion/__init__.py", "tiled_diffusion.py"])
def test_a_foreign_package_is_named_with_its_place(tmp_path, place):
    path = site_with(tmp_path) / place
    path.parent.mkdir(exist_ok=True)
    path.touch()
    line = launched(tmp_path)
    assert line == f"Tiled Diffusion & VAE: {path} may be loaded in place of this extension's own: uninstall it\n"


def test_a_place_that_the_console_cannot_write_is_no_crash(tmp_path):
    folder = tmp_path / "größe 画"
    (site_with(folder) / "tiled_vae.py").touch()
    assert str(folder / "tiled_vae.py") in launched(folder, PYTHONIOENCODING="ascii")


def editable(folder, *names):
    """What pip install -e leaves behind: a finder of these packages in the folder."""
    return f"""
import importlib.util, sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name in {names}:
            return importlib.util.spec_from_file_location(name, {str(folder)!r} + "/" + name + "/__init__.py")
sys.meta_path.append(Finder())
"""


@pytest.mark.parametrize("names", [("tiled_diffusion",), ("tiled_diffusion", "tiled_vae")])
def test_a_copy_of_this_extension_that_is_installed_from_another_folder_is_named(tmp_path, names):
    line = launched(site_with(tmp_path), before=editable("/copy", *names))
    assert [f"/copy/{name}/__init__.py" in line for name in install.PACKAGES] == [n in names for n in install.PACKAGES]
    assert line.count("uninstall it") == line.count("\n") == 1


def test_this_folder_itself_may_be_installed(tmp_path):
    assert launched(ROOT, site_with(tmp_path)) == ""
    assert launched(tmp_path, before=editable(ROOT, *install.PACKAGES)) == ""


def test_a_folder_of_the_name_that_is_no_package_is_in_nobodys_way(tmp_path):
    (site_with(tmp_path) / "tiled_diffusion").mkdir()
    assert launched(tmp_path) == ""
    assert "/copy/tiled_diffusion" in launched(tmp_path, before=editable("/copy", "tiled_diffusion"))


def test_a_finder_that_breaks_does_not_stop_the_launch(tmp_path):
    broken = """
import sys
class Finder:
    def find_spec(self, name, *_):
        if name == "tiled_vae":
            raise RuntimeError
sys.meta_path.append(Finder())
"""
    assert "gradio 3.0 is too old" in launched(site_with(tmp_path, gradio="3.0"), before=broken)


def test_it_stands_on_the_standard_library():
    tree = ast.parse(SCRIPT.read_text("utf-8"), feature_version=(3, 8))
    names = [node.module if isinstance(node, ast.ImportFrom) else a.name
             for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) for a in node.names]
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names
    assert "torch is missing" in launched(flags=("-I", "-S"))


def test_it_asks_for_what_the_package_needs():
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert re.findall(r'requires-python = ">=([\d.]+)"', text) == ["{}.{}".format(*install.PYTHON)]
    assert re.findall(r'"torch>=([\d.]+)"', text) == ["{}.{}".format(*install.LEAST["torch"])]
