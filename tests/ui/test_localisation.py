"""Every string that the panel and the editor show has a Chinese translation."""

import ast
import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TRANSLATED = json.loads((ROOT / "localizations" / "zh_CN.json").read_text(encoding="utf-8"))
SHOWN = ("label", "info")
EDITOR_CALLS = r'\b(?:t|say)\("([^"]+)"\)|\bbutton\("[^"]*", "([^"]+)"|\b(?:text|number|check|select_)\("\w+", "([^"]+)", "([^"]+)"'
OPTION_PAIRS = r'\["(?:replace|append|prepend|background|foreground|smooth|linear|quadratic)", "([^"]+)"\]'


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
    text = (ROOT / "javascript" / "region_view.js").read_text(encoding="utf-8")
    found = {part for match in re.finditer(EDITOR_CALLS, text) for part in match.groups() if part}
    return found | set(re.findall(OPTION_PAIRS, text))


@pytest.mark.parametrize("panel", ["tiled_diffusion/ui/panel.py", "tiled_vae/ui/panel.py"])
def test_panels_are_translated(panel):
    found = strings_of_panel(ROOT / panel)
    assert len(found) > 5
    assert found - set(TRANSLATED) == set()


def test_the_editor_is_translated():
    found = strings_of_editor()
    assert len(found) > 40
    assert found - set(TRANSLATED) == set()


def test_settings_page_is_translated():
    text = (ROOT / "tiled_diffusion" / "webui" / "register.py").read_text(encoding="utf-8")
    labels = {
        n.args[2].value for n in ast.walk(ast.parse(text))
        if isinstance(n, ast.Call) and ast.unparse(n.func) == "host.add_option" and isinstance(n.args[2], ast.Constant)
    }  # fmt: skip
    assert labels
    assert labels - set(TRANSLATED) == set()


def test_translations_say_something():
    assert all(isinstance(v, str) and v.strip() for v in TRANSLATED.values())
