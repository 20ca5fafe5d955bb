"""Starts the real WebUI on a fresh data folder, with this extension and the shipped checkpoint."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from tiled_diffusion.standalone.ldm_export import write_ldm_checkpoint
from tiled_diffusion.standalone.model import checkpoint_folder

from .client import HOST

ROOT = Path(__file__).parents[2]
COMMON_FLAGS = ["--skip-torch-cuda-test", "--no-download-sd-model", "--disable-console-progressbars", "--api", "--skip-prepare-environment", "--skip-install"]
FORGE_FLAGS = ["--always-cpu", "--all-in-fp32"]
FLAGS = {
    "a1111": ["--use-cpu", "all", "--no-half", "--no-half-vae", "--precision", "full", "--do-not-download-clip"],
    "forge": FORGE_FLAGS,
    "reforge": FORGE_FLAGS,
}
"""Of each WebUI, by the name that the environment variable HOST gives."""
OPTIONS = {"live_previews_enable": False, "show_progress_type": "Approx cheap", "sd_text_encoder": "None"}
"""Settings without which Forge and reForge would fetch models from the network."""

STYLES = """name,prompt,negative_prompt
suite around,"a watercolour of {prompt}, soft light","fog"
suite after,"night sky","snow, {prompt}"
"""
"""The book of styles."""


def interpreter(webui: Path) -> Path:
    """The WebUI's own Python: WEBUI_PYTHON, or a venv in its folder or beside it."""
    named = os.environ.get("WEBUI_PYTHON")
    places = [Path(named)] if named else [d / "venv" / "bin" / "python" for d in (webui, webui.parent)]
    for place in places:
        if place.exists():
            return place
    raise SystemExit(f"no Python for the WebUI: looked for {', '.join(map(str, places))}; set WEBUI_PYTHON")


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def prepare(data: Path, webui: Path, extensions: dict[str, Path]) -> Path:
    """Fills a data folder; returns the folder of checkpoints."""
    (data / "extensions").mkdir(parents=True)
    for name, folder in {"tiled-diffusion": ROOT, **extensions}.items():
        if folder != ROOT and ROOT in folder.parents:  # a link into the project would be taken for the project
            shutil.copytree(folder, data / "extensions" / name)
        else:
            (data / "extensions" / name).symlink_to(folder)
    (data / "styles.csv").write_text(STYLES)
    if HOST != "a1111":
        (data / "config.json").write_text(json.dumps(OPTIONS))
    checkpoints = data / "checkpoints"
    write_ldm_checkpoint(checkpoint_folder(), checkpoints)
    for found in (webui / "models" / "Stable-diffusion").glob("tiny*"):
        if not (checkpoints / found.name).exists():
            (checkpoints / found.name).symlink_to(found)
    return checkpoints


@contextmanager
def running(webui: Path, flags: list[str] | None = None, extensions: dict[str, Path] | None = None):
    """The address of a WebUI that runs within the block, and its log file."""
    with tempfile.TemporaryDirectory(prefix="webui-suite-") as folder:
        data = Path(folder) / "data"
        checkpoints = prepare(data, webui, extensions or {})
        port, log = free_port(), Path(folder) / "log.txt"
        command = [
            str(interpreter(webui)), "launch.py", "--data-dir", str(data), "--models-dir", str(webui / "models"),
            "--ckpt-dir", str(checkpoints), "--ckpt", str(checkpoints / "tiny-landscapes.safetensors"),
            "--port", str(port), *COMMON_FLAGS, *FLAGS[HOST], *(flags or []),
            "--gradio-allowed-path", str(webui),  # gradio 4 serves the host's own scripts from nowhere but the data folder
        ]  # fmt: skip
        more = {
            "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "GRADIO_ANALYTICS_ENABLED": "False",
            "TINY_LANDSCAPES_CLIP": str(checkpoints / "clip"),
        }  # fmt: skip
        with log.open("wb") as out:
            process = subprocess.Popen(command, cwd=webui, env={**os.environ, **more}, stdout=out, stderr=out)
        try:
            wait(f"http://127.0.0.1:{port}/sdapi/v1/samplers", process, log)
            yield f"http://127.0.0.1:{port}", log
        finally:
            process.terminate()
            process.wait(20)


def wait(url: str, process: subprocess.Popen, log: Path, seconds: int = 240) -> None:
    """Until the WebUI says that it has started, and answers: asked earlier, it cannot finish its own set-up."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        if "Startup time:" in log.read_text(errors="replace"):
            with urllib.request.urlopen(url, timeout=60):
                return
        time.sleep(0.5)
    raise SystemExit("the WebUI did not start:\n" + log.read_text(errors="replace")[-3000:])
