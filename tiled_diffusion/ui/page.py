"""Gives a page outside of the WebUI what the panel's scripts expect: themselves, the style sheet, three helpers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse, Response

from tiled_diffusion.errors import TiledError

ROOT = Path(__file__).parents[2]
FILES = "/td-files"
HELPERS = """
window.gradioApp = () => document.querySelector("gradio-app")?.shadowRoot || document;
window.updateInput = (target) => {
    const event = new Event("input", {bubbles: true});
    Object.defineProperty(event, "target", {value: target});
    target.dispatchEvent(event);
};
window.onUiLoaded = (start) => {
    const wait = () => (gradioApp().querySelector("[id^=td_][id$=_regions]") ? start() : setTimeout(wait, 50));
    wait();
};
if (new URLSearchParams(location.search).get("__theme") === "dark") {
    document.addEventListener("DOMContentLoaded", () => document.body.classList.add("dark"));
}
"""


def add_scripts(app: FastAPI) -> None:
    """Serves the scripts in the order of their names, and puts them into the head of the page at "/".

    Raises:
        TiledError: the folder of the scripts is not there: the package was installed without it.
    """
    scripts = sorted((ROOT / "javascript").glob("*.js"))
    if not scripts:
        raise TiledError(f"the page's scripts are not in {ROOT / 'javascript'}: run it from a copy of the repository")
    served = {p.name: p for p in (*scripts, ROOT / "style.css")}
    names = ["helpers.js", *(p.name for p in scripts)]
    head = "".join(f'<script src="{FILES}/{name}"></script>' for name in names)
    head += f'<link rel="stylesheet" href="{FILES}/style.css">'

    def file(name: str) -> Response:
        if name == "helpers.js":
            return Response(HELPERS, media_type="text/javascript")
        return FileResponse(served[name]) if name in served else JSONResponse({}, status_code=404)

    async def with_head(request: Request, call_next: Any) -> Any:
        answer = await call_next(request)
        if request.url.path != "/" or "text/html" not in answer.headers.get("content-type", ""):
            return answer
        body = b"".join([part async for part in answer.body_iterator]).decode()
        return Response(body.replace("</head>", head + "</head>", 1), media_type="text/html")

    file.__annotations__ = {"name": str}
    app.add_api_route(FILES + "/{name}", file, methods=["GET"], response_model=None)
    app.middleware("http")(with_head)
