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
from fastapi import FastAPI, Request  # noqa: E402
from fastapi.responses import FileResponse, JSONResponse, Response  # noqa: E402

from tiled_diffusion.plan import ModelSize  # noqa: E402
from tiled_diffusion.presets import Presets  # noqa: E402
from tiled_diffusion.ui.job import merge  # noqa: E402
from tiled_diffusion.ui.panel import JS, PanelHost, build_panel  # noqa: E402
from tiled_diffusion.ui.routes import add_routes  # noqa: E402

HELPERS = """
window.gradioApp = () => document.querySelector("gradio-app")?.shadowRoot || document;
window.updateInput = (target) => {
    const event = new Event("input", {bubbles: true});
    Object.defineProperty(event, "target", {value: target});
    target.dispatchEvent(event);
};
window.onUiLoaded = (start) => {
    const wait = () => (gradioApp().querySelector("#td_txt2img_regions textarea, #td_txt2img_regions input") ? start() : setTimeout(wait, 50));
    wait();
};
window.onAfterUiUpdate = () => {};
window.opts = {};
if (new URLSearchParams(location.search).get("__theme") === "dark") document.addEventListener("DOMContentLoaded", () => document.body.classList.add("dark"));
"""


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
    scripts = sorted((ROOT / "javascript").glob("*.js"))
    head = "".join(
        f'<script src="/td-files/{p.name}"></script>' for p in [Path("helpers.js"), *scripts]
    ) + '<link rel="stylesheet" href="/td-files/style.css">'

    @app.get("/td-files/{name}")
    def file(name: str):
        if name == "helpers.js":
            return Response(HELPERS, media_type="text/javascript")
        found = {p.name: p for p in [*scripts, ROOT / "style.css"]}
        return FileResponse(found[name]) if name in found else JSONResponse({}, status_code=404)

    @app.middleware("http")
    async def with_head(request: Request, call_next):
        answer = await call_next(request)
        if request.url.path != "/" or "text/html" not in answer.headers.get("content-type", ""):
            return answer
        body = b"".join([part async for part in answer.body_iterator]).decode()
        return Response(body.replace("</head>", head + "</head>", 1), media_type="text/html")

    folder = tempfile.mkdtemp(prefix="td-presets-")
    add_routes(app, Presets(Path(folder)), lambda: ModelSize(16, 2))
    gr.mount_gradio_app(app, build(), path="/")
    print("ready", flush=True)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    serve(int(sys.argv[1]))
