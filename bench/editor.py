"""The region editor in Chromium: how long its handlers take while a box is dragged."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
MOVES = 200
REGIONS = 64
SCRIPT = """
([count, moves]) => {
    const container = document.querySelector('#editor');
    const store = tiledDiffusion.store.createStore();
    const host = {size: () => ({width: 1024, height: 1024}), unit: () => 64, translate: t => t,
        pictures: {}, seed: () => null,
        presets: {list: async () => ({presets: [], broken: []})}};
    const view = tiledDiffusion.view.createEditor(container, store, host);
    const region = (_, i) => ({prompt: `p${i}`, x: i % 8 / 8, y: Math.floor(i / 8) / 8, w: 0.12, h: 0.12});
    store.dispatch({type: 'add', regions: Array.from({length: count}, region)});
    store.dispatch({type: 'select', ids: [store.state.regions[0].id]});
    const stage = container.querySelector('.td-stage'), box = container.querySelector('.td-box');
    const r = container.querySelector('.td-surface').getBoundingClientRect();
    stage.setPointerCapture = () => {};
    const send = (target, kind, x, y) => target.dispatchEvent(new PointerEvent(kind, {
        bubbles: true, cancelable: true, pointerId: 7, button: 0, clientX: r.x + x, clientY: r.y + y,
    }));
    send(box, 'pointerdown', 10, 10);
    const times = [];
    for (let i = 0; i < moves; i++) {
        const begun = performance.now();
        send(stage, 'pointermove', 10 + i, 10 + i * 0.7);
        times.push(performance.now() - begun);
        void container.offsetHeight;
    }
    send(stage, 'pointerup', 10 + moves, 10 + moves);
    view.destroy();
    return times.sort((a, b) => a - b);
}
"""


def run() -> dict[str, float | str]:
    """drag_ms: 95th percentile of the handler's time with 64 regions, ms; drag_ratio: that / the same with one."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        return {"skipped": "skipped: no Chromium is installed"}
    from playwright.sync_api import sync_playwright

    scripts = "".join(f"<script>{p.read_text()}</script>" for p in sorted((ROOT / "javascript").glob("*.js")))
    style = f"<style>{(ROOT / 'style.css').read_text()}</style>"
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        html = Path(folder) / "editor.html"
        body = f"<!doctype html><body>{style}<div id=editor style='width:1000px'></div>{scripts}"
        html.write_text(body, encoding="utf-8")
        page = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"]).new_page()
        page.goto(html.as_uri())
        few, many = (page.evaluate(SCRIPT, [n, MOVES]) for n in (1, REGIONS))
    at = int(0.95 * MOVES)
    return {"drag_ms": round(many[at], 3), "drag_ratio": round(many[at] / max(few[at], 1e-3), 2)}
