"""Encodes and decodes files: `python -m tiled_vae encode|decode|roundtrip INPUT OUTPUT`.

Exit status: 0 done, 1 failed or interrupted, 2 wrong input.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save
from torch import Tensor

from . import Callbacks, Interrupted, TiledVaeError, TiledVaeSettings, swapped

SHIPPED = Path(__file__).parents[1] / "tiled_diffusion" / "standalone" / "checkpoint" / "vae"
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns the exit status."""
    args = _parser().parse_args(argv)
    try:
        _run(args)
    except (TiledVaeError, OSError, ValueError) as error:
        print(f"tiled_vae: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except (Interrupted, KeyboardInterrupt):
        print("tiled_vae: interrupted", file=sys.stderr)
        return 1
    except (RuntimeError, ImportError) as error:
        print(f"tiled_vae: {' '.join(str(error).split())}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tiled_vae", description="Encode and decode pictures of any size.")
    parser.add_argument("command", choices=("encode", "decode", "roundtrip"))
    parser.add_argument("input", type=Path, help="a picture; for decode a .safetensors file with `latent`")
    parser.add_argument("output", type=Path, help="a picture; for encode a .safetensors file")
    parser.add_argument("--vae", type=Path, default=SHIPPED, help="folder of a diffusers AutoencoderKL")
    parser.add_argument("--mode", choices=("auto", "untiled", "exact", "fast"), default="auto")
    parser.add_argument("--tile", type=int, default=0, metavar="LP", help="tile side in latent pixels; 0: automatic")
    parser.add_argument("--offload", choices=("auto", "device", "host", "recompute"), default="auto")
    parser.add_argument("--wrap", choices=("x", "y", "xy"), default="", help="borders that are neighbours")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", choices=DTYPES, default="fp32")
    parser.add_argument("--compare", action="store_true", help="print PSNR and largest difference to the untiled pass")
    return parser


def _run(args: argparse.Namespace) -> None:
    settings = TiledVaeSettings(
        mode=args.mode,
        encoder_tile_px=8 * args.tile,
        decoder_tile_lp=args.tile,
        offload=args.offload,
        wrap_x="x" in args.wrap,
        wrap_y="y" in args.wrap,
    )
    if args.compare and args.wrap:
        raise TiledVaeError("--compare needs a picture without --wrap: the untiled pass knows no ring")
    vae = load_vae(args.vae).to(args.device, DTYPES[args.dtype])
    channels = int(vae.config.latent_channels)
    given = _read_latent(args.input, channels) if args.command == "decode" else _read_picture(args.input)
    given = given.to(args.device, DTYPES[args.dtype])
    with swapped(vae, settings, Callbacks(say=print)):
        result = _apply(args.command, vae, given)
    _write(args.output, result, picture=args.command != "encode")
    if args.compare:
        print(comparison(result, _apply(args.command, vae, given)))


@torch.no_grad()
def _apply(command: str, vae: Any, given: Tensor) -> Tensor:
    """encode: picture to the mean of its latent; decode: latent to picture; roundtrip: both."""
    latent: Tensor = given if command == "decode" else vae.encode(given).latent_dist.mode()
    if command == "encode":
        return latent
    picture: Tensor = vae.decode(latent).sample
    return picture


def comparison(a: Tensor, b: Tensor) -> str:
    """PSNR in dB over b's range, and the largest difference, as one line."""
    difference, span = (a.float() - b.float()).abs(), float(b.max() - b.min())
    rms = float(difference.square().mean().sqrt())
    psnr = math.inf if rms == 0 else 20 * math.log10(span / rms) if span else -math.inf
    worst = float(difference.max())
    return f"compared with untiled: PSNR {psnr:.2f} dB, max difference {worst:.3g} of a range of {span:.3g}"


def load_vae(folder: Path) -> Any:
    """The AutoencoderKL of a diffusers folder (or of its `vae` folder).

    Raises:
        TiledVaeError: there is none.
    """
    folder = folder / "vae" if (folder / "vae").is_dir() else folder
    if not (folder / "config.json").is_file():
        raise TiledVaeError(f"--vae {folder}: no config.json there; the folder of a diffusers AutoencoderKL is needed")
    from diffusers import AutoencoderKL

    return AutoencoderKL.from_pretrained(str(folder), local_files_only=True).eval().requires_grad_(False)


def _read_picture(path: Path) -> Tensor:
    """A picture file as [1, 3, H, W] in -1 .. 1."""
    with Image.open(path) as image:
        pixels = torch.from_numpy(np.array(image.convert("RGB")))
    return pixels.permute(2, 0, 1)[None].float() / 127.5 - 1


def _read_latent(path: Path, channels: int) -> Tensor:
    try:
        tensors = load_file(str(path))
    except OSError:
        raise
    except Exception as error:
        raise TiledVaeError(f"{path} is not a safetensors file: {error}") from error
    if "latent" not in tensors:
        raise TiledVaeError(f"{path} holds {', '.join(tensors) or 'nothing'}; a tensor named 'latent' is needed")
    latent: Tensor = tensors["latent"]
    if latent.dim() != 4 or latent.shape[1] != channels:
        raise TiledVaeError(f"{path}: latent is {tuple(latent.shape)}; [batch, {channels} channels, h, w] is needed")
    return latent


def _write(path: Path, result: Tensor, picture: bool) -> None:
    if not picture:
        path.write_bytes(save({"latent": result.float().cpu().contiguous()}))
        return
    pixels = ((result[0].float().cpu().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(path)
