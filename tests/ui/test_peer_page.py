"""The editor's import button takes the other extension's files."""

import json


def test_a_saved_region_file_of_the_peer(page, tmp_path):
    slot = {"enable": True, "x": 0.25, "y": 0, "w": 0.5, "h": 1, "prompt": "a tree", "neg_prompt": "", "blend_mode": "Foreground",
            "feather_ratio": 0.2, "seed": -1}  # fmt: skip
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"bbox_controls": [slot, {**slot, "enable": False, "prompt": ""}]}))
    page.locator("#td_txt2img_regions_accordion .label-wrap, #td_txt2img_regions_accordion > button").first.click()
    page.locator(".td-editor[data-tab=txt2img] input[type=file][accept*=json]").set_input_files(str(file))
    carrier = page.locator("#td_txt2img_regions textarea, #td_txt2img_regions input").first
    page.wait_for_timeout(1500)
    (region,) = json.loads(carrier.input_value())["regions"]
    assert (region["prompt"], region["layer"], region["join"], region["x"], region["w"]) == (
        "a tree",
        "foreground",
        "append",
        0.25,
        0.5,
    )
