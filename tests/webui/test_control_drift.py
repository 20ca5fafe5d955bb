"""What is relied on of the ControlNet extension is there. Needs WEBUI_CONTROLNET; reads its source, runs nothing."""

import ast
import os
from pathlib import Path

import pytest

FOLDER = os.environ.get("WEBUI_CONTROLNET")
pytestmark = pytest.mark.skipif(not FOLDER, reason="WEBUI_CONTROLNET is not set: the extension is not there to be read")

PARAMS = (
    "control_model", "preprocessor", "_hint_cond", "weight", "guidance_stopped", "control_model_type", "hr_hint_cond",
    "effective_region_mask", "used_hint_cond", "used_hint_cond_latent", "used_hint_inpaint_hijack", "cfg_injection",
)  # fmt: skip
KEPT = [
    ("hook.py", "ControlParams", PARAMS),
    ("hook.py", "UnetHook", ("model", "control_params")),
    ("adapter.py", "PlugableAdapter", ("control",)),
    ("controlnet_lllite.py", "LLLiteModule", ("cond_image", "cond_emb")),
    ("controlnet_lllite.py", "PlugableControlLLLite", ("modules",)),
    ("ipadapter/plugable_ipadapter.py", "PlugableIPAdapter", ("cache", "effective_region_mask", "latent_width", "latent_height")),
    ("controlnet.py", "Script", ("latest_network", "ui_batch_option_state")),
]  # fmt: skip


def class_of(file, name):
    tree = ast.parse((Path(FOLDER) / "scripts" / file).read_text(encoding="utf-8"))
    return next(n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == name)


def method(file, name, of):
    return next(n for n in ast.walk(class_of(file, of)) if isinstance(n, ast.FunctionDef) and n.name == name)


@pytest.mark.parametrize(("file", "name", "attributes"), KEPT)
def test_attributes(file, name, attributes):
    stored = {
        n.attr
        for n in ast.walk(class_of(file, name))
        if isinstance(n, ast.Attribute) and isinstance(n.ctx, ast.Store) and getattr(n.value, "id", "") == "self"
    }
    assert set(attributes) <= stored, set(attributes) - stored


@pytest.mark.parametrize(
    ("file", "of", "name", "parameters"),
    [
        ("hook.py", "UnetHook", "call_vae_using_process", ["p", "x", "batch_size", "mask"]),
        ("adapter.py", "PlugableAdapter", "reset", ["self"]),
        ("controlnet_lllite.py", "LLLiteModule", "set_cond_image", ["self", "cond_image"]),
    ],
)
def test_methods(file, of, name, parameters):
    assert [a.arg for a in method(file, name, of).args.args] == parameters


def test_kinds_and_options_have_their_names():
    kinds = {
        t.id for n in class_of("enums.py", "ControlModelType").body if isinstance(n, ast.Assign) for t in n.targets
    }
    wanted = {
        "AttentionInjection",
        "IPAdapter",
        "ReVision",
        "T2I_StyleAdapter",
        "T2I_Adapter",
        "Controlllite",
        "InstantID",
    }
    assert wanted <= kinds
    options = ast.unparse(class_of("enums.py", "BatchOption"))
    assert "Each ControlNet unit" in options


def test_hung_units_ask_how_far_the_sampling_is():
    """That is how a region switches them off."""
    for file in ("controlnet_lllite.py", "ipadapter/plugable_ipadapter.py"):
        source = (Path(FOLDER) / "scripts" / file).read_text(encoding="utf-8")
        assert "'current_sampling_percent'" in source.replace('"', "'")
