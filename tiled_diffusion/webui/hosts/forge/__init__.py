"""Forge and reForge: what they do otherwise than AUTOMATIC1111's WebUI, of which they are made."""

from __future__ import annotations

from tiled_diffusion.webui.hosts.a1111 import jobs, page
from tiled_diffusion.webui.hosts.port import Host

from . import sampling, texts, vae

HOST = Host("Forge, reForge", page, jobs, texts, sampling, vae)
