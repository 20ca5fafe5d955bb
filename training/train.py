"""Trains the tiny Stable-Diffusion-1 shaped model of this package on drawn pictures.

    python -m training.train all               # from nothing: vae, latents, unet, export; about 90 min on 2 cores
    python -m training.train vae --minutes 30
    python -m training.train latents --count 24000
    python -m training.train unet --minutes 55      # --resume goes on from work/unet.pt
    python -m training.train export --out DIR       # writes the diffusers folder DIR
    python -m training.train all --start FOLDER     # goes on from a diffusers folder instead of from nothing

With --start the U-Net and the text encoder begin with the folder's weights, and the new VAE's encoder is tied to the
folder's encoder, so that both work in the same latent space and can be trained at the same time.

Learning rates follow elapsed time, not steps, so a run ends when its minutes are over however busy the machine is.
Training is data-parallel over --procs processes (gloo) with one thread each.  State lives in $TINY_WORK.
With a GPU: `latents --device cuda --procs 16`, then `unet --device cuda --procs 1 --batch 512 --amp`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from training.export import stage_export
from training.latents import stage_latents
from training.state import WORK, log
from training.train_unet import stage_unet
from training.train_vae import stage_vae

STAGES = {"vae": stage_vae, "latents": stage_latents, "unet": stage_unet, "export": stage_export}
MINUTES = {"vae": 30, "unet": 55}
BATCH = {"vae": 8}


def parsed() -> argparse.Namespace:
    """The command line."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("stage", choices=[*STAGES, "all"])
    p.add_argument("--minutes", type=float, help="time for the stage (vae 30, unet 55)")
    p.add_argument("--procs", type=int, default=2)
    p.add_argument("--threads", type=int, default=1, help="per process")
    p.add_argument("--device", default="cpu", help="of the stages latents and unet; the latter with --procs 1")
    p.add_argument("--amp", action="store_true", help="bfloat16 autocast, for processors that have it in hardware")
    p.add_argument("--batch", type=int, help="per process (vae 8 crops, unet 32 pictures)")
    p.add_argument("--lr", type=float)
    p.add_argument("--count", type=int, default=24000, help="pictures of 128x128 for the U-Net")
    p.add_argument("--ema", type=float, default=0.999)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--start", type=Path, help="diffusers folder to go on from")
    p.add_argument("--tie", type=float, default=0.5, help="weight of the VAE encoder's distance to --start's")
    p.add_argument("--noise", type=float, default=0.10, help="error of the latents the decoder learns to bear")
    p.add_argument("--freeze-encoder", action="store_true", help="train the VAE's decoder alone")
    p.add_argument("--resume", action="store_true", help="go on from the stage's state, schedule included")
    p.add_argument("--again", action="store_true", help="with --resume: begin the U-Net's schedule anew")
    p.add_argument("--out", type=Path, default=WORK / "checkpoint")
    return p.parse_args()


def main() -> None:
    """Runs one stage, or all of them in turn."""
    options = parsed()
    WORK.mkdir(parents=True, exist_ok=True)
    for stage in STAGES if options.stage == "all" else [options.stage]:
        own = argparse.Namespace(**vars(options))
        own.minutes = options.minutes or MINUTES.get(stage)
        own.batch = options.batch or BATCH.get(stage, 32)
        log("stage", stage)
        STAGES[stage](own)


if __name__ == "__main__":
    main()
