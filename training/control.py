"""Trains the small ControlNet of this package, edges -> picture, on drawn pictures.

    python -m training.control all                    # from the shipped checkpoint: data, training, export
    python -m training.control data --wide 1500 --small 6000
    python -m training.control train --minutes 40     # --resume goes on from work/control.pt
    python -m training.control all --device cuda --procs 16 --batch 256 --amp --minutes 5
    python -m training.control export --out DIR       # writes the diffusers folder DIR

The U-Net and the text encoder stand still. The ControlNet begins as a copy of the U-Net's first half, without the
middle block's attention. It learns on cut-outs of wide scenes as well as on whole small ones: tiles see cut-outs.

State lives in $TINY_WORK, as that of training.train.
"""

from __future__ import annotations

import argparse
import random
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.control_data import Pictures, stage_data
from training.diffusion import alphas_bar, load_average, noised, update_average
from training.muon import Muon
from training.processes import blended, learning_rate, shared_progress
from training.state import WORK, log, save_state
from training.tokenizer import encode_texts

CHECKPOINT = Path(__file__).resolve().parents[1] / "tiled_diffusion" / "standalone" / "checkpoint"
STATE = WORK / "control.pt"
UNPROMPTED = 0.15
"""Share of the samples that are learnt without their caption."""
CONFIG = {
    "in_channels": 4,
    "conditioning_channels": 3,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
    "mid_block_type": "UNetMidBlock2D",
    "block_out_channels": [64, 128],
    "layers_per_block": 1,
    "attention_head_dim": 4,
    "cross_attention_dim": 128,
    "norm_num_groups": 32,
    "conditioning_embedding_out_channels": [16, 32, 64, 96],
}


def build(unet: nn.Module) -> Any:
    """A ControlNet that begins as the U-Net's first half and adds nothing yet."""
    from diffusers import ControlNetModel

    control = ControlNetModel(**CONFIG)
    own = control.state_dict()
    control.load_state_dict({k: v for k, v in unet.state_dict().items() if k in own}, strict=False)
    return control


def parts(checkpoint: Path) -> tuple[Any, Any, Any]:
    """Tokenizer, text encoder and U-Net of the checkpoint, which stand still."""
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(checkpoint, dtype=torch.float32, local_files_only=True)
    for part in (pipe.text_encoder, pipe.unet):
        part.eval().requires_grad_(False)
    return pipe.tokenizer, pipe.text_encoder, pipe.unet


class ControlTraining:
    """The training, in one process."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        tokenizer, text, unet = parts(options.checkpoint)
        self.control, self.data = build(unet).to(options.device), Pictures(tokenizer)
        self.unet, self.text = unet.to(options.device), text.to(options.device)
        self.empty = encode_texts(tokenizer, [""]).long()
        self.params = list(self.control.parameters())
        self.optimiser = Muon(self.control.named_parameters())
        self.average = [p.detach().clone() for p in self.params]
        self.step, self.samples, self.done = 0, 0, 0.0
        if options.resume and STATE.exists():
            self.load()
        self.random = random.Random(options.seed * 991 + self.step)
        torch.manual_seed(options.seed * 991 + self.step)
        self.signal, self.first_step = alphas_bar().to(options.device), self.step
        self.figures: tuple[float, ...] = ()

    def load(self) -> None:
        """Goes on from the saved state."""
        state = torch.load(STATE, map_location=self.options.device)
        self.control.load_state_dict(state["control"])
        self.optimiser.load_state_dict(state["opt"])
        self.average, self.step, self.samples = state["ema"], state["step"], state["samples"]
        self.done = 0.0 if self.options.again else state["progress"]

    def save(self, progress: float) -> None:
        """So that --resume can go on from here."""
        models = {"control": self.control.state_dict(), "ema": self.average, "opt": self.optimiser.state_dict()}
        save_state({**models, "step": self.step, "samples": self.samples, "progress": progress}, STATE)

    def run(self) -> None:
        """Trains until the minutes are over."""
        start = last = time.time()
        while (progress := shared_progress(start, self.options.minutes, 1, self.done)) < 1:
            self.train_on(*self.data.batch(self.options.batch, self.random), progress)
            if time.time() - last > 30:
                last = time.time()
                error, weighted = self.figures
                log(
                    f"control step {self.step} samples {self.samples} eps-mse {error:.4f} weighted {weighted:.4f}",
                    f"{progress:.2f}",
                )
                self.save(progress)
        self.save(1.0)
        log("control done, steps", self.step, "samples", self.samples)

    def train_on(self, z: Tensor, hints: Tensor, ids: Tensor, progress: float) -> None:
        """One step."""
        options = self.options
        ids[torch.rand(len(z)) < UNPROMPTED] = self.empty
        ids, hints = ids.to(options.device), hints.to(options.device).expand(-1, 3, -1, -1)
        x, t, noise = noised(z.to(options.device), self.signal)
        error = ((self.prediction(x, t, ids, hints) - noise) ** 2).mean((1, 2, 3))
        signal = self.signal[t]
        loss = (torch.clamp(5 * (1 - signal) / signal, max=1) * error).mean() / 0.6  # min-SNR-5, as in train_unet
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.params, 1.0)
        self.optimiser.step(learning_rate(progress, self.step - self.first_step, options.lr, 50))
        self.optimiser.zero_grad()
        self.step, self.samples = self.step + 1, self.samples + len(z)
        update_average(self.average, self.params, min(options.ema, (1 + self.step) / (10 + self.step)))
        share = max(0.005, 1 / (self.step - self.first_step))
        self.figures = blended(self.figures, (float(error.detach().mean()), float(loss.detach())), share)

    def prediction(self, x: Tensor, t: Tensor, ids: Tensor, hints: Tensor) -> Tensor:
        """The noise that the steered U-Net sees in x."""
        with torch.autocast(self.options.device, torch.bfloat16, enabled=self.options.amp):
            with torch.no_grad():
                words = self.text(ids)[0]
            down, mid = self.control(x, t, words, hints, return_dict=False)
            residuals = {"down_block_additional_residuals": down, "mid_block_additional_residual": mid}
            return self.unet(x, t, words, **residuals).sample.float()


def stage_train(options: argparse.Namespace) -> None:
    """Trains and leaves the state in the work folder."""
    torch.set_num_threads(options.threads)
    ControlTraining(options).run()


def stage_export(options: argparse.Namespace) -> None:
    """Writes the diffusers folder in half precision."""
    _, _, unet = parts(options.checkpoint)
    control, state = build(unet), torch.load(STATE, map_location="cpu")
    load_average(list(control.parameters()), state["ema"])
    control.half().save_pretrained(options.out, safe_serialization=True)
    log(f"{options.out}: step {state['step']}, samples {state['samples']}")


STAGES = {"data": stage_data, "train": stage_train, "export": stage_export}


def parsed() -> argparse.Namespace:
    """The command line."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("stage", choices=[*STAGES, "all"])
    p.add_argument("--small", type=int, default=6000, help="scenes of 128x128")
    p.add_argument("--wide", type=int, default=1500, help="scenes of 512x256")
    p.add_argument("--minutes", type=float, default=40)
    p.add_argument("--checkpoint", type=Path, default=CHECKPOINT, help="diffusers folder of the model that is steered")
    p.add_argument("--procs", type=int, default=1, help="for the data")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--device", default="cpu", help="of data and training: cpu or cuda")
    p.add_argument("--amp", action="store_true", help="bfloat16 autocast, for processors that have it in hardware")
    p.add_argument("--batch", type=int, default=32, help="cut-outs of 16x16 latent pixels, or as many pixels")
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--ema", type=float, default=0.998)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--resume", action="store_true", help="go on from the state, schedule included")
    p.add_argument("--again", action="store_true", help="with --resume: begin the schedule anew")
    p.add_argument("--out", type=Path, default=WORK / "controlnet")
    return p.parse_args()


def main() -> None:
    """Runs one stage, or all of them in turn."""
    options = parsed()
    WORK.mkdir(parents=True, exist_ok=True)
    for stage in STAGES if options.stage == "all" else [options.stage]:
        log("stage", stage)
        STAGES[stage](options)


if __name__ == "__main__":
    main()
