"""Digests of tensors, and of the machine that made them."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

FILE = Path(__file__).parents[1] / "fixtures" / "latents.json"
COMMAND = "python -m tests.latents"
SAMPLES = 24


def digest(latent: Tensor) -> dict[str, Any]:
    """What is kept of a tensor: its shape, a digest of its bits, and some of its numbers, evenly spread."""
    flat = latent.detach().float().contiguous().flatten()
    index = torch.linspace(0, flat.numel() - 1, SAMPLES).long()
    return {
        "shape": list(latent.shape),
        "sha256": hashlib.sha256(flat.numpy().tobytes()).hexdigest(),
        "numbers": [float(f"{v:.9g}") for v in flat[index].tolist()],
    }


def machine() -> dict[str, str]:
    """What decides on the last bits: the library's kernels and the processor that they are chosen for."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    facts = {line.split(":")[0].strip(): line.split(":", 1)[1].strip() for line in lines if ":" in line}
    kinds = ("vendor_id", "cpu family", "model", "model name", "flags")
    kind = "; ".join(facts.get(name, "") for name in kinds) or platform.processor()
    return {
        "torch": torch.__version__,
        "kernels": torch.backends.cpu.get_cpu_capability(),
        "processor": hashlib.sha256(kind.encode()).hexdigest()[:16],
    }
