"""The cases that are left out in a WebUI, and why: it has nothing that they could be about."""

from __future__ import annotations

EXTENSION = "about the ControlNet extension; this WebUI has ControlNets of its own, for which other cases are"
SWITCH = "LoRAs are added to the weights before a sampling begins, and cannot act in one region alone"
MEMORY = "it has no such flag, and moves the parts of models by itself"
NO_SECOND_TRY = "it looks for no NaN after decoding, and so has no second try"
NO_PREVIEWS = "its previews are never made by the VAE: it takes an approximation for the setting 'Full'"
NO_PEER = "it switches the other extension off by its folder's name"
WIDTH = "it reads embeddings of 768 numbers alone, and the small checkpoint's have 128"

BOTH = {
    "besides: LoRA in a region's prompt acts in the region alone": SWITCH,
    "besides: a server with --medvram draws the same tiles and regions": MEMORY,
    "besides: a server with --lowvram draws the same tiles and regions": MEMORY,
    "VAE with --medvram": MEMORY,
    "VAE with --lowvram": MEMORY,
    "VAE live previews by the VAE leave the picture alone": NO_PREVIEWS,
    "VAE overflow: the host's second try in bfloat16": NO_SECOND_TRY,
    "ControlNet: modes, references and what is painted back: one tile is the plain job, tiles work, a region has none": EXTENSION,
    "ControlNet: T2I-Adapter and LLLite: one tile is the plain job, each half sees its half, a region has none": EXTENSION,
    "ControlNet: T2I-Adapter and LLLite with SDXL": EXTENSION,
    "API: the unique name, where another extension has the short one": NO_PEER,
}
LEFT_OUT: dict[str, dict[str, str]] = {
    "a1111": {},
    "forge": {
        **BOTH,
        "VAE file chosen in the settings": "it takes a VAE for one of a checkpoint's modules, and has no such setting",
        "besides: a textual inversion in the main prompt and in a region's": WIDTH,
    },
    "reforge": BOTH,
}
"""By the name that the environment variable HOST gives, and the case's."""
