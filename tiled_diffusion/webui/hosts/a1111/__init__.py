"""AUTOMATIC1111's WebUI. This package and others beside it alone import a WebUI's `modules`."""

from __future__ import annotations

from tiled_diffusion.webui.hosts.port import Host

from . import jobs, page, sampling, texts, vae

HOST = Host("AUTOMATIC1111's WebUI 1.10", page, jobs, texts, sampling, vae)
