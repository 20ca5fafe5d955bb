"""Shows the panels as the WebUI would, in any version of gradio: python app.py PORT. Prints "ready" when it serves."""

import json
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import gradio as gr  # noqa: E402
import uvicorn  # noqa: E402
from fastapi import FastAPI  # noqa: E402

from tiled_diffusion.engine.plan import ModelTraits  # noqa: E402
from tiled_diffusion.settings.panel import merge  # noqa: E402
from tiled_diffusion.settings.presets import Presets  # noqa: E402
from tiled_diffusion.ui.controls import JS  # noqa: E402
from tiled_diffusion.ui.page import add_scripts  # noqa: E402
from tiled_diffusion.ui.panel import PanelHost, build_panel  # noqa: E402
from tiled_diffusion.ui.routes import add_routes  # noqa: E402


@contextmanager
def accordion(label, elem_id):
    """A tick box above an open accordion."""
    enabled = gr.Checkbox(False, label=label, elem_id=elem_id)
    with gr.Accordion(label, open=True):
        yield enabled


def build():
    """The page: sizes, panels, and a button that shows what a job would be asked for."""
    with gr.Blocks() as page:
        for tab in ("txt2img", "img2img"):
            with gr.Tab(tab, elem_id=f"tab_{tab}"):
                gr.Textbox("a main prompt", label="Prompt", elem_id=f"{tab}_prompt")
                gr.Slider(64, 2048, 512, step=8, label="Width", elem_id=f"{tab}_width", interactive=True)
                gr.Slider(64, 2048, 256, step=8, label="Height", elem_id=f"{tab}_height", interactive=True)
                if tab == "img2img":
                    strength = {"elem_id": "img2img_denoising_strength", "interactive": True}
                    gr.Slider(0, 1, 0.75, step=0.01, label="Denoising strength", **strength)
                    gr.Slider(1, 150, 20, step=1, label="Sampling steps", elem_id="img2img_steps", interactive=True)
                panel = build_panel(tab, PanelHost(accordion, ("None", "Lanczos")))
                names = list(panel.controls)
                ask = gr.Button("Ask", elem_id=f"{tab}_ask")
                answer = gr.Textbox(label="Answer", elem_id=f"{tab}_answer")

                def asked(enabled, text, *controls, names=names):
                    job = merge(text, dict(zip(names, controls, strict=True)))
                    return json.dumps({"enabled": enabled, **job.to_dict()}, ensure_ascii=False)

                ask.click(asked, panel.args, answer)
                paste = gr.Textbox(label="Paste", elem_id=f"{tab}_paste")
                paste.change(lambda text: text, paste, panel.json_box, **{JS: "(text) => text"})
    return page


def serve(port):
    """Serves the page, with the scripts and the style sheet in its head as the WebUI puts them there."""
    app = FastAPI()
    add_scripts(app)
    folder = tempfile.mkdtemp(prefix="td-presets-")
    add_routes(app, Presets(Path(folder)), lambda: ModelTraits(16, 2), lambda text: (len(text.split()), 75))
    gr.mount_gradio_app(app, build(), path="/")
    print("ready", flush=True)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    serve(int(sys.argv[1]))
