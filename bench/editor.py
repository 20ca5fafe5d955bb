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
    const host = {size: () => ({width: 1024, height: 1024}), height: () => 460, unit: () => 64, translate: t => t,
        pictures: {}, seed: () => null, controlnet: true, tokens: null, onField: null,
        presets: {list: async () => ({presets: [], broken: []})}};
    const view = tiledDiffusion.view.createEditor(container, store, host);
    const region = (_, i) => ({prompt: `p${i}`, x: i % 8 / 8, y: Math.floor(i / 8) / 8, w: 0.12, h: 0.12});
    store.dispatch({type: 'add', regions: Array.from({length: count}, region)});
    if (count) store.dispatch({type: 'select', ids: [store.state.regions[0].id]});
    const stage = container.querySelector('.td-stage'), box = container.querySelector('.td-box') || stage;
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
        const handled = performance.now() - begun;
        void container.offsetHeight;
        times.push([handled, performance.now() - begun]);
    }
    send(stage, 'pointerup', 10 + moves, 10 + moves);
    view.destroy();
    return times;
}
"""


def run() -> dict[str, float | str]:
    """Times of a pointer move's handler, 95th percentile.

    Returns:
        drag_ms: with 64 regions, ms. drag_ratio: that / on an empty canvas, where a box is drawn. drag_ratio_to_one:
        that / with one region. layout_ms: as drag_ms, with the layout that follows.
    """
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
        page.evaluate(SCRIPT, [REGIONS, MOVES])  # warms up
        found = {n: page.evaluate(SCRIPT, [n, MOVES]) for n in (0, 1, REGIONS)}
    at = int(0.95 * MOVES)
    drag = {n: sorted(move[0] for move in moves)[at] for n, moves in found.items()}
    layout = sorted(move[1] for move in found[REGIONS])[at]
    return {
        "drag_ms": round(drag[REGIONS], 3),
        "drag_ratio": round(drag[REGIONS] / max(drag[0], 1e-3), 2),
        "drag_ratio_to_one": round(drag[REGIONS] / max(drag[1], 1e-3), 2),
        "layout_ms": round(layout, 3),
    }
