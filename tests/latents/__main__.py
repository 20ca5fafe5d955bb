"""Records the digests; to be run only where a change of the pictures is meant, and said in the commit."""

from __future__ import annotations

import json

import torch

from . import standalone_jobs, webui_jobs
from .digest import COMMAND, FILE, digest, machine


def main() -> None:
    """Writes the file."""
    torch.set_num_threads(1)
    jobs = {name: digest(latent) for source in (standalone_jobs, webui_jobs) for name, latent in source.latents()}
    FILE.write_text(json.dumps({"command": COMMAND, "machine": machine(), "jobs": jobs}, indent=0) + "\n")
    print(f"{len(jobs)} jobs in {FILE}")


main()
