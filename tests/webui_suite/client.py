"""Talks to the WebUI's HTTP API."""

from __future__ import annotations

import base64
import io
import json
import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tiled_diffusion.settings.panel import panel_settings_from_dict
from tiled_diffusion.settings.vae import vae_settings_from

BASE = {
    "prompt": "a red house on green grass, blue sky", "negative_prompt": "", "steps": 6, "width": 128, "height": 128,
    "seed": 1, "cfg_scale": 5, "sampler_name": "Euler a",
}  # fmt: skip
HOST = os.environ.get("HOST", "a1111")
"""Which WebUI runs: a1111, forge or reforge."""
HIRES = {"hr_additional_modules": ["Use same choices"], "hr_cfg": 5} if HOST != "a1111" else {}
"""What Forge and reForge have to be told besides: their own scale of the hires pass would be 1."""


class ApiError(Exception):
    """The API answered with an error."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status, self.text = status, text


@dataclass
class Result:
    """What a job gave: pictures [h, w, 3] as uint8, and their records."""

    pictures: list[np.ndarray]
    infotexts: list[str]
    encoded: list[str]

    def difference(self, other: Result) -> int:
        """The largest difference of any value of any picture."""
        assert [p.shape for p in self.pictures] == [p.shape for p in other.pictures], "sizes differ"
        return max(
            int(np.abs(a.astype(int) - b.astype(int)).max())
            for a, b in zip(self.pictures, other.pictures, strict=True)
        )


@dataclass
class Webui:
    """A running WebUI."""

    url: str
    log: Path

    def call(self, path: str, data: Any = None, timeout: float = 900) -> Any:
        """POST with data, else GET."""
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as e:
            raise ApiError(e.code, e.read().decode(errors="replace")) from None

    def job(self, path: str, tiled: Any = None, vae: Any = None, scripts: dict | None = None, **more: Any) -> Result:
        """A job; `tiled` and `vae` are the settings of the two scripts."""
        every = dict(scripts or {})
        if tiled is not None:
            every["tiled diffusion"] = {"args": [True, tiled]}
        if vae is not None:
            every["tiled vae"] = {"args": [True, vae]}
        answer = self.call(path, {**BASE, **(HIRES if more.get("enable_hr") else {}), **more, "alwayson_scripts": every})
        pictures = [Image.open(io.BytesIO(base64.b64decode(i))).convert("RGB") for i in answer["images"]]
        return Result([np.asarray(p) for p in pictures], json.loads(answer["info"])["infotexts"], answer["images"])

    def txt2img(self, **more: Any) -> Result:
        """A txt2img job."""
        return self.job("/sdapi/v1/txt2img", **more)

    def img2img(self, **more: Any) -> Result:
        """An img2img job."""
        return self.job("/sdapi/v1/img2img", **{"denoising_strength": 0.6, **more})

    def options(self, **values: Any) -> None:
        """Changes settings of the WebUI."""
        self.call("/sdapi/v1/options", values)

    def names(self, path: str, key: str) -> list[str]:
        """The names in a list of the API."""
        return [entry[key] for entry in self.call(path)]


def encoded(picture: np.ndarray) -> str:
    """base64 of a PNG."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def written(settings):
    """What a record says of settings of Tiled Diffusion: in the present version, with what differs from the defaults."""
    return panel_settings_from_dict(settings).to_dict()


def vae_written(settings):
    """The same for the tiled VAE."""
    return vae_settings_from(settings).to_dict()
