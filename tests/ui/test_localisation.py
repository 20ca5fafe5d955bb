"""Every string that the panels, the editor and Hypermosaic show is translated, into every language that there is."""

import ast
import json
import re
from pathlib import Path

import pytest

from tiled_diffusion.settings.fields import row, rows
from tiled_diffusion.settings.kinds import Choices
from tiled_diffusion.settings.mosaic import COLOURS, Mosaic
from tiled_diffusion.settings.panel import PanelSettings, control_rows
from tiled_diffusion.settings.vae import VaePanelSettings
from tiled_diffusion.settings.values import Region, Settings
from tiled_diffusion.ui.creativity import LABELS

ROOT = Path(__file__).parents[2]
TRANSLATED = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in sorted((ROOT / "localizations").glob("*.json"))}
SHOWN = ("label", "info")
EDITOR_CALLS = (
    r'\bt\("([^"]+)"\)',
    r'\bt\([^()]*\? "([^"]+)" : "([^"]+)"\)',
    r'\bbutton\((?:"[^"]*"|t\("[^"]+"\)|(?:[\w.]+\.)?icon\("\w+"\)), "([^"]+)"',
    r'\bToolMenu\(t, "\w+", "([^"]+)"',
    r'\["\w+", "(?:columns|rows|grid)", "[\d,]+", "([^"]+)"\]',
    r'\b(?:line|number|check|select|prompt)\("\w+", "([^"]+)",\s+"([^"]+)"',
    r'\["(?:replace|append|prepend|background|foreground|smooth|linear|quadratic)", "([^"]+)"\]',
    r'\["(?:box|rectangle|ellipse|polygon|brush|eraser)", "\w", "([^"]+)",\s+"([^"]*)"\]',
    r'\["(?:enabled|hidden|locked)", "(?:on|eye|lock)", "([^"]+)"\]',
)


def strings_of_panel(path):
    """Texts of `label=` and `info=`, and the first arguments of accordions and buttons."""
    found = set()
    for call in (n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)):
        texts = [k.value for k in call.keywords if k.arg in SHOWN]
        if ast.unparse(call.func).lower().endswith(("accordion", "button")):
            texts += call.args[:1]
        found |= {t.value for t in texts if isinstance(t, ast.Constant) and isinstance(t.value, str)}
    return found


def strings_of_editor():
    text = "".join(p.read_text(encoding="utf-8") for p in sorted((ROOT / "javascript").glob("region_*.js")))
    found = (match.groups() for call in EDITOR_CALLS for match in re.finditer(call, text))
    return {part for parts in found for part in parts if part and part.isascii()}


def untranslated(strings):
    """(language, string) of all that is missing."""
    return [(name, text) for name, known in TRANSLATED.items() for text in sorted(strings) if text not in known]


def test_the_languages():
    assert list(TRANSLATED) == ["de_DE", "es_ES", "ja_JP", "zh_CN"]


@pytest.mark.parametrize("panel", ["panel.py", "vae_panel.py", "creativity.py"])
def test_panels_are_translated(panel):
    own = strings_of_panel(ROOT / "tiled_diffusion" / "ui" / panel)
    assert own
    assert untranslated(own) == []


def test_the_styles_are_translated():
    assert untranslated(LABELS.values()) == []


def test_the_script_is_translated():
    path = ROOT / "tiled_diffusion" / "webui" / "mosaic.py"
    calls = [n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call)]
    named = {ast.unparse(n.func): n.args for n in calls}
    helps = {row(Mosaic, n.args[0].value).entry.help for n in calls if ast.unparse(n.func) == "_help"}
    own = strings_of_panel(path) | helps | {named["gr.Button"][0].value, "Hypermosaic", *COLOURS.names}
    assert {"Grid", "Viewer and zoom", "Tiles that the picture is made of."} <= own
    assert untranslated(own) == []


def strings_of_table(every):
    """What pages show of settings: labels, the line below, and choices; a choice's own line takes the field's place."""
    shown = set()
    for r in every:
        options = r.kind.options if isinstance(r.kind, Choices) else ()
        on_panel = bool(r.entry.widget and r.entry.widget.row != "editor")
        helps = {option.help for option in options if on_panel and option.help}
        automatic = {r.entry.widget.automatic} if on_panel and r.entry.widget.automatic else set()
        shown |= {r.label, *automatic, *(option.label for option in options), *(helps or {r.info})}
    return shown


@pytest.mark.parametrize(
    "every",
    [control_rows(PanelSettings), control_rows(VaePanelSettings), [r for r in rows(Region) if r.entry.widget], [row(Settings, "fill")]],
    ids=["panel", "VAE panel", "region", "document"],
)
def test_the_table_is_translated(every):
    shown = strings_of_table(every)
    assert len(shown) > 3
    assert untranslated(shown) == []


def test_the_editor_is_translated():
    found = strings_of_editor()
    assert len(found) > 70
    assert untranslated(found) == []


def test_settings_page_is_translated():
    text = (ROOT / "tiled_diffusion" / "webui" / "register.py").read_text(encoding="utf-8")
    labels = {
        n.args[2].value for n in ast.walk(ast.parse(text))
        if isinstance(n, ast.Call) and ast.unparse(n.func) == "host.page.add_option" and isinstance(n.args[2], ast.Constant)
    }  # fmt: skip
    assert labels
    assert untranslated(labels) == []


@pytest.mark.parametrize("name", TRANSLATED)
def test_translations_say_something(name):
    """And no language has a string that the others do not have."""
    assert all(isinstance(v, str) and v.strip() for v in TRANSLATED[name].values())
    assert set(TRANSLATED[name]) == set(TRANSLATED["zh_CN"])


def test_a_missing_one_is_seen():
    assert untranslated({"Method", "no such text"}) == [(name, "no such text") for name in TRANSLATED]
