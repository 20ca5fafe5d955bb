"""Imports stay within the bounds that the layout promises: who may know whom, and which libraries."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("tiled_vae", "scripts", *(f"tiled_diffusion.{r}" for r in ("settings", "engine", "recipes", "ui", "webui", "standalone")))
MAY_KNOW = {
    "tiled_vae": (),
    "tiled_diffusion.settings": ("tiled_vae",),
    "tiled_diffusion.engine": ("tiled_diffusion.settings",),
    "tiled_diffusion.recipes": ("tiled_diffusion.settings", "tiled_diffusion.engine", "tiled_vae"),
    "tiled_diffusion.ui": ("tiled_diffusion.settings", "tiled_diffusion.engine", "tiled_diffusion.recipes", "tiled_vae"),
    "tiled_diffusion.webui": (*(f"tiled_diffusion.{r}" for r in ("settings", "engine", "recipes", "ui")), "tiled_vae"),
    "tiled_diffusion.standalone": (*(f"tiled_diffusion.{r}" for r in ("settings", "engine", "recipes", "ui")), "tiled_vae"),
    "scripts": ("tiled_diffusion.webui", "tiled_vae"),
}
LIBRARIES = {
    "tiled_vae": {"torch"},
    "tiled_diffusion.settings": {"numpy", "PIL"},
    "tiled_diffusion.engine": {"torch", "numpy"},
    "tiled_diffusion.recipes": {"torch", "numpy", "PIL"},
    "tiled_diffusion.ui": {"gradio", "fastapi"},
    "tiled_diffusion.webui": {"torch", "numpy", "gradio", "PIL"},
    "tiled_diffusion.standalone": {
        "torch", "numpy", "PIL", "gradio", "fastapi", "uvicorn", "diffusers", "transformers", "compel", "safetensors", "spandrel",
        "cv2", "tqdm",
    },
    "scripts": set(),
}  # fmt: skip
MORE = {
    "tiled_vae/cli.py": {"numpy", "PIL", "safetensors", "diffusers"},
    "tiled_vae/__main__.py": set(),
    "tiled_diffusion/webui/hosts": {"modules", "fastapi"},
    "tiled_diffusion/recipes/frame/find.py": {"cv2"},
    "tiled_diffusion/recipes/mosaic/files.py": {"filelock"},
    "tiled_diffusion/recipes/mosaic/tiff.py": {"tifffile"},
    "tiled_diffusion/recipes/mosaic/video.py": {"av"},
    "tiled_diffusion/standalone/cluster/ray_workers.py": {"ray"},
}
"""What single files and folders may use beyond their room's libraries: the hosts alone import `modules`."""
COMMON = {"tiled_diffusion", "tiled_diffusion.errors"}
"""Known to every room of the package."""


def module_of(path, root=ROOT):
    """Dotted name of a file's package, and of the file."""
    parts = path.relative_to(root).with_suffix("").parts
    return parts[:-1], parts


def imported(path, root=ROOT):
    """Full dotted names of everything that a file imports, wherever in it."""
    package, _ = module_of(path, root)
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            stem = ".".join((*base, *([node.module] if node.module else [])))
            names |= {f"{stem}.{a.name}" for a in node.names}
    return names


def room_of(name):
    """The room that a dotted name lies in, or None."""
    return next((room for room in ROOMS if name == room or name.startswith(room + ".")), None)


def violations(path, root=ROOT):
    """Names that a file imports and may not."""
    _, parts = module_of(path, root)
    room = room_of(".".join(parts))
    if room is None:
        return set()
    place = path.relative_to(root).as_posix()
    libraries = LIBRARIES[room].union(*(more for where, more in MORE.items() if place.startswith(where)))
    wrong = set()
    for name in imported(path, root):
        top, other = name.split(".")[0], room_of(name)
        if other is not None:
            wrong |= {name} if other != room and other not in MAY_KNOW[room] else set()
        elif top == "tiled_diffusion":
            known = any(name == c or name.startswith(c + ".") for c in COMMON)
            wrong |= set() if known and room not in ("tiled_vae",) else {name}
        elif top not in sys.stdlib_module_names and top not in libraries:
            wrong.add(name)
    return wrong


def files():
    return sorted(p for folder in ("tiled_diffusion", "tiled_vae", "scripts") for p in (ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("path", files(), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_arrows(path):
    assert violations(path) == set()


FILE_OF = {
    **{room: room.replace(".", "/") + "/planted.py" for room in ROOMS},
    "tiled_diffusion.webui.vae": "tiled_diffusion/webui/vae/planted.py",
}
FORBIDDEN_ROOMS = [
    (room, other) for room in ROOMS for other in ROOMS if other not in (room, "scripts") and other not in MAY_KNOW[room]
]


@pytest.mark.parametrize(("room", "other"), FORBIDDEN_ROOMS, ids=lambda v: v)
def test_a_planted_import_against_an_arrow_is_seen(room, other, tmp_path):
    path = tmp_path / FILE_OF[room]
    path.parent.mkdir(parents=True)
    forms = [f"import {other}.thing", f"from {other} import thing", f"def f():\n    from {other}.thing import name"]
    if room.startswith("tiled_diffusion.") and other.startswith("tiled_diffusion."):
        forms.append(f"from ..{other.split('.')[1]} import thing")
        forms.append(f"from .. import {other.split('.')[1]}")
    for form in forms:
        path.write_text(form + "\n")
        assert violations(path, tmp_path), form


LIBRARY_RULES = [
    ("tiled_diffusion/engine/x.py", "PIL"), ("tiled_diffusion/engine/guides/x.py", "gradio"),
    ("tiled_diffusion/settings/x.py", "torch"), ("tiled_diffusion/recipes/x.py", "diffusers"),
    ("tiled_diffusion/ui/x.py", "modules"), ("tiled_diffusion/webui/script.py", "modules"),
    ("tiled_diffusion/webui/vae/script.py", "modules"), ("tiled_diffusion/webui/x.py", "diffusers"),
    ("tiled_diffusion/standalone/x.py", "modules"), ("tiled_vae/x.py", "gradio"), ("tiled_vae/x.py", "numpy"),
    ("tiled_vae/x.py", "tiled_diffusion.errors"), ("scripts/x.py", "modules"), ("scripts/x.py", "torch"),
    ("tiled_diffusion/engine/pool.py", "ray"), ("tiled_diffusion/standalone/cluster/workers.py", "ray"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "library"), LIBRARY_RULES)
def test_a_planted_library_is_seen(place, library, tmp_path):
    path = tmp_path / place
    path.parent.mkdir(parents=True)
    path.write_text(f"def f():\n    import {library}\n")
    assert violations(path, tmp_path) == {library}


def test_hosts_may_import_the_webui(tmp_path):
    path = tmp_path / "tiled_diffusion/webui/hosts/x.py"
    path.parent.mkdir(parents=True)
    path.write_text("from modules import shared\n")
    assert violations(path, tmp_path) == set()


def test_every_file_says_what_it_is_for():
    for path in [p for d in ("tiled_diffusion", "tiled_vae", "bench", "training") for p in (ROOT / d).rglob("*.py")]:
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path
