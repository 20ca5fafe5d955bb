"use strict";
// The table of settings, for the page. Made by `python -m tiled_diffusion.settings.generate`, not by hand.

/** @typedef {{form: string, low?: number, high?: number, step?: number, null?: number | string}} SettingWidget
 *   How a page shows a setting: where its field ends, and the number or empty text that stands for null. */
/** @typedef {{type: string, label: string, info: string, default: unknown, required?: true, null?: true, unit?: string,
 *   low?: number, high?: number, multiple?: number, most?: number, editor?: number, choices?: string[][],
 *   most_polygons?: number, most_points?: number, most_picture_px?: number, most_picture_text?: number,
 *   widget?: SettingWidget}} Setting
 *   `choices` are [value, label, help]; `most` counts characters or items, and `editor` those that the editor holds. */
/** @typedef {{version: number, document: Record<string, Setting>, region: Record<string, Setting>,
 *   reroll: Record<string, Setting>, controls: string[], no_upscaler: string,
 *   papers: Record<string, number[]>, units: Record<string, number>}} SettingsTable
 *   Fields of a region document, of its regions and rerolls; names of the panel's controls. */

var tiledDiffusion = tiledDiffusion || {};

/** @type {SettingsTable} */
tiledDiffusion.table = {
    "version": 2,
    "document": {
        "regions": {
            "type": "list", "most": 1024, "editor": 64, "label": "Regions", "info": "Parts with prompts of their own.",
            "default": [],
        },
        "fill": {
            "type": "choice",
            "choices": [
                ["main", "rest: main prompt", "The main prompt draws what the regions leave."],
                ["none", "rest: an error", "A part of the canvas in no region is an error that names it."],
            ],
            "label": "Rest", "info": "What is drawn where no region is.", "default": "main",
        },
        "rerolls": {
            "type": "list", "most": 1024, "label": "Rerolls", "info": "Boxes of the start noise that are drawn anew.",
            "default": [],
        },
    },
    "region": {
        "prompt": {
            "type": "text", "most": 20000, "label": "Prompt",
            "info": "What is drawn in this region; may hold AND and ENSEMBLE.", "default": "", "required": true,
            "widget": {"form": "text"},
        },
        "x": {
            "type": "number", "low": 0, "high": 1, "label": "X",
            "info": "Left edge of the box in fractions of the canvas.", "default": 0,
        },
        "y": {
            "type": "number", "low": 0, "high": 1, "label": "Y",
            "info": "Upper edge of the box in fractions of the canvas.", "default": 0,
        },
        "w": {
            "type": "number", "low": 0.0001, "high": 1, "label": "W",
            "info": "Width of the box in fractions of the canvas; on a ring it may go on at the other edge.",
            "default": 1,
        },
        "h": {
            "type": "number", "low": 0.0001, "high": 1, "label": "H",
            "info": "Height of the box in fractions of the canvas.", "default": 1,
        },
        "negative_prompt": {
            "type": "text", "most": 20000, "label": "Negative prompt",
            "info": "What to avoid here; joined like the prompt. Empty: the main one.", "default": null, "null": true,
            "widget": {"form": "text", "null": ""},
        },
        "feather": {
            "type": "number", "low": 0, "high": 1, "label": "Feather",
            "info": "Width of the soft edge / shorter side of the box.", "default": 0.2,
            "widget": {"form": "number", "low": 0, "high": 1, "step": 0.05},
        },
        "weight": {
            "type": "number", "low": 0.0001, "high": 10000, "label": "Weight",
            "info": "How strongly a background counts where regions overlap.", "default": 1,
            "widget": {"form": "number", "low": 0.1, "high": 10, "step": 0.1},
        },
        "name": {
            "type": "text", "most": 100, "label": "Name", "info": "For you alone.", "default": "",
            "widget": {"form": "text"},
        },
        "enabled": {
            "type": "switch", "label": "Enabled", "info": "A region that is off is kept, and does nothing.",
            "default": true,
        },
        "join": {
            "type": "choice",
            "choices": [
                ["replace", "left out", "The region's prompt stands alone."],
                ["append", "before it", "The main prompt, then the region's."],
                ["prepend", "after it", "The region's prompt, then the main one."],
            ],
            "label": "Main prompt", "info": "How the main prompt joins it.", "default": "replace",
            "widget": {"form": "dropdown"},
        },
        "layer": {
            "type": "choice",
            "choices": [
                ["background", "background", "Mixes with the other backgrounds by weight."],
                ["foreground", "foreground", "Lies above the backgrounds and the foregrounds before it in the list."],
            ],
            "label": "Layer", "info": "Backgrounds mix; foregrounds lie above them.", "default": "background",
            "widget": {"form": "dropdown"},
        },
        "feather_shape": {
            "type": "choice", "choices": [["smooth", "smooth"], ["linear", "linear"], ["quadratic", "quadratic"]],
            "label": "Edge", "info": "How the soft edge rises.", "default": "smooth", "widget": {"form": "dropdown"},
        },
        "mask": {
            "type": "mask", "most_polygons": 32, "most_points": 2000, "most_picture_px": 512,
            "most_picture_text": 65536, "label": "Shape", "info": "A free shape within the box.", "default": null,
            "null": true,
        },
        "seed": {
            "type": "whole", "low": 0, "high": 9007199254740991, "label": "Seed",
            "info": "Start noise of its own; image k of a batch has seed + k. Empty: the canvas's noise.",
            "default": null, "null": true, "widget": {"form": "number", "null": ""},
        },
        "cfg_scale": {
            "type": "number", "low": 0, "high": 50, "label": "CFG scale",
            "info": "CFG scale of its own. Empty: the main one.", "default": null, "null": true,
            "widget": {"form": "number", "low": 0, "high": 50, "step": 0.5, "null": ""},
        },
        "step_from": {
            "type": "number", "low": 0, "high": 1, "label": "From",
            "info": "Where in the sampling it begins, as a fraction.", "default": 0,
            "widget": {"form": "number", "low": 0, "high": 1, "step": 0.05},
        },
        "step_to": {
            "type": "number", "low": 0, "high": 1, "label": "To",
            "info": "Where in the sampling it ends, as a fraction.", "default": 1,
            "widget": {"form": "number", "low": 0, "high": 1, "step": 0.05},
        },
        "controlnet": {
            "type": "switch", "label": "ControlNet", "info": "ControlNets act on this region.", "default": true,
            "widget": {"form": "tick"},
        },
        "bootstrap": {
            "type": "number", "low": 0, "high": 1, "label": "Bootstrap",
            "info": "Part of the sampling in which a small region shows a sketch of its object; try 0.5.", "default": 0,
            "widget": {"form": "number", "low": 0, "high": 1, "step": 0.05},
        },
        "picture": {
            "type": "text", "most": 1572864, "label": "Picture",
            "info": "A picture that lies in the box; without a prompt it is all there is of the region.",
            "default": null, "null": true,
        },
        "keep": {
            "type": "number", "low": 0, "high": 1, "label": "Keep",
            "info": "For how much of the sampling the picture stays as it is; a grey mask keeps it shorter.",
            "default": 0.8, "widget": {"form": "number", "low": 0, "high": 1, "step": 0.05},
        },
        "fit": {
            "type": "choice",
            "choices": [
                ["cover", "cover", "Fills the box, and what reaches beyond it is cut off."],
                ["contain", "contain", "All of the picture lies within the box, and the rest of the box is free."],
                ["stretch", "stretch", "Takes on the shape of the box."],
            ],
            "label": "Fit", "info": "How the picture fills the box.", "default": "cover",
            "widget": {"form": "dropdown"},
        },
        "flip": {
            "type": "switch", "label": "Flip", "info": "Left and right of the picture change places.", "default": false,
            "widget": {"form": "tick"},
        },
        "picture_sha256": {
            "type": "text", "most": 64, "label": "Picture's digest",
            "info": "SHA-256 of the file, in records: another file is an error.", "default": null, "null": true,
        },
    },
    "reroll": {
        "seed": {
            "type": "whole", "low": 0, "high": 9007199254740991, "label": "Seed", "info": "Of the box's own noise.",
            "default": null, "required": true,
        },
        "x": {
            "type": "number", "low": 0, "high": 1, "label": "X",
            "info": "Left edge of the box in fractions of the canvas.", "default": 0,
        },
        "y": {
            "type": "number", "low": 0, "high": 1, "label": "Y",
            "info": "Upper edge of the box in fractions of the canvas.", "default": 0,
        },
        "w": {
            "type": "number", "low": 0.0001, "high": 1, "label": "W",
            "info": "Width of the box in fractions of the canvas.", "default": 1,
        },
        "h": {
            "type": "number", "low": 0.0001, "high": 1, "label": "H",
            "info": "Height of the box in fractions of the canvas.", "default": 1,
        },
        "mode": {
            "type": "choice",
            "choices": [
                ["full", "whole box", "Draws the whole box."],
                ["exclusive", "the box alone", "Draws only what no other reroll's box covers."],
            ],
            "label": "Mode", "info": "What of the box is drawn.", "default": "full",
        },
        "noise": {
            "type": "number", "low": 0, "high": 1, "label": "Noise",
            "info": "How much of the box's noise is new; a little makes a sister of the picture.", "default": 1,
        },
    },
    "controls": [
        "method",
        "tile_width",
        "tile_height",
        "overlap",
        "tile_batch",
        "wrap_x",
        "wrap_y",
        "grid_seed",
        "size_conditioning",
        "compose",
        "tile_prompts",
        "tile_prompts_share",
        "tile_prompts_join",
        "tile_texts",
        "captioner",
        "elastic_rounds",
        "elastic_pull",
        "elastic_decay",
        "elastic_until",
        "elastic_reference",
        "elastic_local_prompt",
        "dilated",
        "skip_residual",
        "positions",
        "passes",
        "width",
        "height",
        "upscaler",
        "upscale_factor",
        "keep_size",
        "keep_picture",
        "inversion_steps",
        "inversion_rounds",
        "inversion_freedom",
        "inversion_detail_map",
        "inversion_prompt",
        "grow",
        "growth_stages",
        "growth_stage_strength",
        "growth_keep_colours",
        "print_size",
        "print_dpi",
    ],
    "no_upscaler": "None",
    "papers": {
        "A0": [841, 1189],
        "A1": [594, 841],
        "A2": [420, 594],
        "A3": [297, 420],
        "A4": [210, 297],
        "A5": [148, 210],
        "A6": [105, 148],
    },
    "units": {
        "mm": 1.0,
        "cm": 10.0,
        "in": 25.4,
    },
};
