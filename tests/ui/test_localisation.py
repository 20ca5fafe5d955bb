"""Every string that the panel and the editor show has a Chinese translation."""

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRANSLATED = json.loads((ROOT / "localizations" / "zh_CN.json").read_text(encoding="utf-8"))
SHOWN = ("label", "info")
EDITOR_CALLS = (
    r'\bt\("([^"]+)"\)',
    r'\bt\([^()]*\? "([^"]+)" : "([^"]+)"\)',
    r'\bbutton\((?:"[^"]*"|t\("[^"]+"\)), "([^"]+)"',
    r'\b(?:line|number|check|select|prompt)\("\w+", "([^"]+)",\s+"([^"]+)"',
    r'\["(?:replace|append|prepend|background|foreground|smooth|linear|quadratic)", "([^"]+)"\]',
    r'\["(?:box|rectangle|ellipse|polygon|brush|eraser)", "([^"]+)", "([^"]+)",\s+"([^"]*)"\]',
    r'\["(?:enabled|hidden|locked)", "([^"]+)", "([^"]+)", "([^"]+)"\]',
)


def strings_of_panel(path):
    """Texts of `label=` and `info=`, and the first arguments of accordions."""
    found = set()
    for call in (n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)):
        texts = [k.value for k in call.keywords if k.arg in SHOWN]
        if ast.unparse(call.func).lower().endswith("accordion"):
            texts += call.args[:1]
        found |= {t.value for t in texts if isinstance(t, ast.Constant) and isinstance(t.value, str)}
    return found


def strings_of_editor():
    text = "".join(p.read_text(encoding="utf-8") for p in sorted((ROOT / "javascript").glob("region_*.js")))
    found = (match.groups() for call in EDITOR_CALLS for match in re.finditer(call, text))
    return {part for parts in found for part in parts if part and part.isascii()}


@pytest.mark.parametrize("panel", ["tiled_diffusion/ui/panel.py", "tiled_vae/ui/panel.py"])
def test_panels_are_translated(panel):
    found = strings_of_panel(ROOT / panel)
    assert len(found) > 5
    assert found - set(TRANSLATED) == set()


def test_the_editor_is_translated():
    found = strings_of_editor()
    assert len(found) > 70
    assert found - set(TRANSLATED) == set()


def test_settings_page_is_translated():
    text = (ROOT / "tiled_diffusion" / "webui" / "register.py").read_text(encoding="utf-8")
    labels = {
        n.args[2].value for n in ast.walk(ast.parse(text))
        if isinstance(n, ast.Call) and ast.unparse(n.func) == "host.page.add_option" and isinstance(n.args[2], ast.Constant)
    }  # fmt: skip
    assert labels
    assert labels - set(TRANSLATED) == set()


def test_translations_say_something():
    assert all(isinstance(v, str) and v.strip() for v in TRANSLATED.values())
