"""The editor's import button takes other programs' files."""

import json


def loaded(page, file):
    """The regions that the editor holds after a file was chosen."""
    page.locator("#td_txt2img_regions_accordion .label-wrap, #td_txt2img_regions_accordion > button").first.click()
    page.locator(".td-editor[data-tab=txt2img] input[type=file][accept*=json]").set_input_files(str(file))
    carrier = page.locator("#td_txt2img_regions textarea, #td_txt2img_regions input").first
    page.wait_for_timeout(1500)
    return json.loads(carrier.input_value())["regions"]


def test_a_saved_region_file_of_the_peer(page, tmp_path):
    slot = {"enable": True, "x": 0.25, "y": 0, "w": 0.5, "h": 1, "prompt": "a tree", "neg_prompt": "", "blend_mode": "Foreground",
            "feather_ratio": 0.2, "seed": -1}  # fmt: skip
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"bbox_controls": [slot, {**slot, "enable": False, "prompt": ""}]}))
    (region,) = loaded(page, file)
    assert (region["prompt"], region["layer"], region["join"], region["x"], region["w"]) == (
        "a tree",
        "foreground",
        "append",
        0.25,
        0.5,
    )


def test_a_prompt_in_regional_prompters_grammar(page, tmp_path):
    file = tmp_path / "prompt.txt"
    file.write_text("fog ADDCOMM a tree ADDCOL a house ADDROW the sea")
    regions = loaded(page, file)
    assert [(r["prompt"], r.get("x", 0), r.get("y", 0), r.get("w", 1), r["h"]) for r in regions] == [
        ("fog, a tree", 0, 0, 0.5, 0.5), ("fog, a house", 0.5, 0, 0.5, 0.5), ("fog, the sea", 0, 0.5, 1, 0.5),
    ]  # fmt: skip
