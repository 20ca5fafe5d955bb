"""Imports stay within the bounds that the layout promises."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    "tiled_diffusion": {"modules", "gradio", "diffusers", "transformers", "tiled_vae"},
    "tiled_diffusion/methods": {"modules", "gradio", "diffusers", "transformers", "tiled_vae", "PIL"},
    "tiled_diffusion/ui": {"modules", "diffusers", "transformers", "tiled_vae"},
    "tiled_diffusion/webui": {"diffusers", "transformers", "tiled_vae"},
    "tiled_diffusion/standalone": {"modules"},
    "tiled_vae": {"modules", "gradio", "diffusers", "transformers", "tiled_diffusion"},
    "tiled_vae/ui": {"modules", "diffusers", "transformers", "tiled_diffusion"},
    "tiled_vae/webui": {"diffusers", "transformers"},
}
OUTER = {
    "tiled_diffusion": ("tiled_diffusion.standalone", "tiled_diffusion.ui", "tiled_diffusion.webui"),
    "tiled_diffusion/methods": ("tiled_diffusion.standalone", "tiled_diffusion.ui", "tiled_diffusion.webui"),
    "tiled_diffusion/ui": ("tiled_diffusion.standalone", "tiled_diffusion.webui"),
    "tiled_diffusion/webui": ("tiled_diffusion.standalone",),
    "tiled_diffusion/standalone": ("tiled_diffusion.webui",),
    "tiled_vae": ("tiled_vae.standalone", "tiled_vae.ui", "tiled_vae.webui"),
    "tiled_vae/ui": ("tiled_vae.standalone", "tiled_vae.webui"),
}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return names


def files(folder: str):
    return [p for p in (ROOT / folder).glob("*.py") if p.name != "__main__.py"]


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_arrows(folder):
    assert files(folder)
    for path in files(folder):
        tops = {name.split(".")[0] for name in imported(path)}
        assert not tops & FORBIDDEN[folder], path
        outer = {n for n in imported(path) if n.startswith(OUTER.get(folder, ()))}
        assert not outer, path


def test_a_planted_import_is_seen(tmp_path):
    (tmp_path / "a.py").write_text("def f():\n    from modules import shared\n")
    assert imported(tmp_path / "a.py") == {"modules"}


def test_every_file_says_what_it_is_for():
    for path in [p for d in ("tiled_diffusion", "tiled_vae", "bench", "training") for p in (ROOT / d).rglob("*.py")]:
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), path
