"""Parts that try what could be quicker: compiled and channels-last networks, and hints in main memory."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from bench.gpu.calls import drawn, scene, square
from bench.gpu.sampling import unet_call
from bench.gpu.stage import Stage
from tiled_diffusion.recipes.progress import Progress
from tiled_diffusion.settings.control import Control
from tiled_diffusion.standalone.control import ControlNets, with_hint
from tiled_diffusion.standalone.sampling import denoise, start_noise

Rows = Iterator[tuple[str, Any]]


def layouts(stage: Stage) -> Rows:
    """Time of a U-Net call on eight tiles / the plain one's: channels last, compiled, both."""
    model = stage.model("sd1", next(iter(stage.dtypes.values())))
    rows = 2 if stage.small else 16
    plain = stage.best(lambda: unet_call(stage, model, rows))
    yield "plain.seconds", plain
    last = replace(model, unet=copy.deepcopy(model.unet).to(memory_format=torch.channels_last))
    yield "channels_last", stage.best(lambda: unet_call(stage, last, rows)) / plain
    how = "eager" if stage.small else "inductor"  # a processor would take minutes to compile
    both = {"compiled": model, "compiled_channels_last": last}
    for name, chosen in list(both.items())[: 1 if stage.small else 2]:
        quick = replace(chosen, unet=torch.compile(chosen.unet, backend=how))
        yield f"{name}.seconds_of_the_first_call", stage.seconds(lambda m=quick: unet_call(stage, m, rows))
        yield name, stage.best(lambda m=quick: unet_call(stage, m, rows)) / plain
    torch._dynamo.reset()


def hints(stage: Stage) -> Rows:
    """Time of a job with a ControlNet whose hint lies in main memory / on the device."""
    from diffusers import ControlNetModel

    model = stage.model("sd1", next(iter(stage.dtypes.values())))
    request = square(scene(stage), 128 if stage.small else 2048, 2)
    net = ControlNetModel.from_unet(model.unet).to(stage.device, model.dtype).eval().requires_grad_(False)
    hint = torch.rand(1, 3, request.height, request.width, generator=torch.Generator().manual_seed(0))
    times = {}
    for name, place in (("main_memory", torch.device("cpu")), ("device", stage.device)):
        controls = ControlNets((with_hint(net, hint.to(place), Control("random", "random")),))
        times[name] = stage.best(
            lambda c=controls: denoise(model, request, start_noise(model, request), None, Progress(), c), 2
        )
    yield "time_to_device", times["main_memory"] / times["device"]
    yield "time_to_without", times["device"] / stage.best(lambda: drawn(model, request), 2)
