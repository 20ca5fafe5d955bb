"use strict";
// The editor's canvas: boxes, tiles, guides and the reference picture; pointers on it; zoom.

tiledDiffusion.canvas = (() => {
    const {el, put, title} = tiledDiffusion.ui;
    const {HANDLES, snapLines, clamp} = tiledDiffusion.box;
    const {next} = tiledDiffusion.drag, paint = tiledDiffusion.paint;
    const REACH_PX = 6, LEAST_MOVE_PX = 3, LEAST_DRAW = 0.015, MOST_TILES = 600, MOST_ZOOM = 12, MOST_HEIGHT_PX = 460;

    /** @param {Editor} ed */
    function createCanvas(ed) {
        const {store, host, t} = ed, listening = {signal: ed.signal};
        let zoom = 1, pan = {x: 0, y: 0}, frame = 0, showTiles = false, spaceHeld = false, byPointer = false, ownUrl = "";
        /** @type {any} */
        let drag = null;
        /** @type {any} */
        let plan = null;
        /** @type {Map<number, any>} */
        const boxes = new Map();
        /** Fingers on the canvas. @type {Map<number, Point>} */
        const fingers = new Map();

        const reference = el("img", {class: "td-reference", alt: "", hidden: true, draggable: "false"});
        const painted = el("canvas", {class: "td-painted"});
        const tiles = el("div", {class: "td-tiles"});
        const guides = el("div", {class: "td-guides"});
        const rubber = el("div", {class: "td-rubber", hidden: true});
        const surface = el("div", {class: "td-surface"}, reference, painted, tiles, rubber, guides, ed.shapes.sketch);
        const stage = el("div", {class: "td-stage", tabindex: "0", role: "application", "aria-label": t("Region canvas")}, surface);

        // ---- state to page -------------------------------------------------------------------------------------
        function place() {
            const {width, height} = host.size();
            const full = document.fullscreenElement === ed.root;
            const scale = Math.min((stage.clientWidth || 400) / width, (full ? window.innerHeight - 140 : MOST_HEIGHT_PX) / height);
            stage.style.height = `${Math.round(height * scale)}px`;
            surface.style.width = `${Math.round(width * scale)}px`;
            surface.style.height = `${Math.round(height * scale)}px`;
            surface.style.transform = `translate(${pan.x}px, ${pan.y}px) scale(${zoom})`;
            surface.style.setProperty("--td-zoom", String(1 / zoom));
        }

        /** @param {EditorRegion} region */
        function boxOf(region) {
            let node = boxes.get(region.id);
            if (!node) {
                const handles = HANDLES.map((/** @type {string} */ h) => el("i", {class: "td-handle", "data-handle": h}));
                node = el("div", {class: "td-box", "data-id": region.id, tabindex: "0", role: "group"}, el("span", {class: "td-label"}), ...handles);
                boxes.set(region.id, node);
                surface.insertBefore(node, rubber);
            }
            return node;
        }

        /** @param {State} state */
        function render(state) {
            const ids = new Set(state.regions.map(r => r.id));
            for (const [id, node] of boxes) if (!ids.has(id)) {
                if (node.contains(node.getRootNode().activeElement)) stage.focus({preventScroll: true});
                node.remove();
                boxes.delete(id);
            }
            state.regions.forEach((region, n) => {
                const node = boxOf(region);
                put(node, region);
                node.style.setProperty("--td-colour", paint.colour(n));
                node.style.zIndex = String(10 + n);
                node.hidden = region.hidden;
                node.classList.toggle("td-selected", state.selected.includes(region.id));
                node.classList.toggle("td-foreground", region.layer === "foreground");
                node.classList.toggle("td-off", !region.enabled);
                node.firstChild.textContent = title(region, n);
                node.setAttribute("aria-label", `${t("Region")} ${title(region, n)}: ${spoken(region)}`);
            });
            if (drag?.kind === "change" && !drag.from.every((/** @type {any} */ b) => ids.has(b.id))) clear();
            later();
        }

        /** Where a box is, in pixels of the picture. @param {Box} box */
        function spoken(box) {
            const {width, height} = host.size();
            const [x, y, w, h] = [box.x * width, box.y * height, box.w * width, box.h * height].map(Math.round);
            return `${w} × ${h} px, ${x}, ${y}`;
        }

        function later() {
            if (!frame) frame = requestAnimationFrame(() => { frame = 0; paint.draw(painted, store.state.regions, host.size(), later); });
        }

        function drawTiles() {
            const shown = showTiles && plan ? plan.boxes.slice(0, MOST_TILES) : [];
            tiles.replaceChildren(...shown.map((/** @type {Box} */ b) => { const node = el("i", {class: "td-tile"}); put(node, b); return node; }));
        }

        /** @param {Lines} lines */
        function drawGuides(lines) {
            guides.replaceChildren(...lines.x.map(x => el("i", {class: "td-guide-x", style: `left:${x * 100}%`})), ...lines.y.map(y => el("i", {class: "td-guide-y", style: `top:${y * 100}%`})));
        }

        // ---- zoom ----------------------------------------------------------------------------------------------
        /** Zooms; the point of the page given stays where it is. @param {number} factor @param {Point} [at] */
        function zoomBy(factor, at) {
            const r = surface.getBoundingClientRect(), s = stage.getBoundingClientRect();
            const fixed = at || {x: s.left + s.width / 2, y: s.top + s.height / 2};
            const before = zoom;
            zoom = clamp(zoom * factor, 1, MOST_ZOOM);
            const grown = zoom / before - 1;
            panTo(pan.x - (fixed.x - r.left) * grown, pan.y - (fixed.y - r.top) * grown);
        }

        /** @param {number} x @param {number} y */
        function panTo(x, y) {
            const margin = (stage.clientWidth - surface.offsetWidth) / 2;
            const low = margin - (zoom * surface.offsetWidth - stage.clientWidth), bottom = stage.clientHeight - zoom * surface.offsetHeight;
            pan = zoom === 1 ? {x: 0, y: 0} : {x: clamp(x, Math.min(low - 2 * margin, -margin), Math.max(-margin, low - 2 * margin)), y: clamp(y, Math.min(bottom, 0), 0)};
            place();
        }

        function whole() {
            zoom = 1;
            panTo(0, 0);
        }

        // ---- pointers ------------------------------------------------------------------------------------------
        /** @param {PointerEvent} event @returns {Keys} */
        function keysOf(event) {
            return {shift: event.shiftKey, alt: event.altKey, ctrl: event.ctrlKey || event.metaKey};
        }

        /** @param {Point} at @param {DOMRect} r @returns {Point} */
        function within(at, r) {
            return {x: (at.x - r.left) / r.width, y: (at.y - r.top) / r.height};
        }

        /** What a drag may snap to. @param {EditorRegion[]} others @param {DOMRect} r @returns {Scene} */
        function scene(others, r) {
            const {width, height} = host.size(), unit = host.unit();
            return {lines: snapLines(others), reach: {x: REACH_PX / r.width, y: REACH_PX / r.height}, unit: {x: unit / width, y: unit / height}, square: height / width};
        }

        /** @param {PointerEvent} event */
        function down(event) {
            if (event.pointerType === "touch" && touched(event)) return;
            if (drag && drag.pointer !== event.pointerId) return event.preventDefault();
            if (event.button === 1 || event.button === 0 && spaceHeld) return begin(event, {kind: "pan", pan: {...pan}, x: event.clientX, y: event.clientY});
            if (event.button) return;
            stage.focus({preventScroll: true});
            if (ed.shapes.active) return ed.shapes.down(event, within({x: event.clientX, y: event.clientY}, surface.getBoundingClientRect())) && begin(event, {kind: "shape"});
            const target = /** @type {HTMLElement} */ (event.target);
            const box = /** @type {HTMLElement | null} */ (target.closest(".td-box"));
            const r = surface.getBoundingClientRect(), start = within({x: event.clientX, y: event.clientY}, r);
            if (!box) return begin(event, {kind: keysOf(event).ctrl ? "select" : "draw", start, handle: "se", from: [], scene: scene(store.state.regions, r)});
            const id = Number(box.dataset.id), more = event.shiftKey || keysOf(event).ctrl;
            if (more || !store.state.selected.includes(id)) ed.select(id, more);
            const moving = more ? [] : store.state.regions.filter((/** @type {any} */ r) => store.state.selected.includes(r.id) && !r.locked);
            if (!moving.length) return event.preventDefault();
            const others = store.state.regions.filter((/** @type {any} */ r) => !moving.includes(r));
            const from = moving.map((/** @type {any} */ {id, x, y, w, h}) => ({id, x, y, w, h}));
            begin(event, {kind: "change", start, handle: target.dataset.handle || "move", from, scene: scene(others, r)});
        }

        /** @param {PointerEvent} event @param {any} what */
        function begin(event, what) {
            drag = {...what, pointer: event.pointerId, x0: event.clientX, y0: event.clientY, moved: false};
            stage.setPointerCapture(event.pointerId);
            event.preventDefault();
        }

        /** @param {PointerEvent} event */
        function move(event) {
            if (fingers.has(event.pointerId) && fingers.size === 2) return pinch(event);
            if (!drag || event.pointerId !== drag.pointer) return;
            if (drag.kind === "pan") return panTo(drag.pan.x + event.clientX - drag.x, drag.pan.y + event.clientY - drag.y);
            const at = {x: event.clientX, y: event.clientY};
            if (drag.kind === "shape") return ed.shapes.move(event, within(at, surface.getBoundingClientRect()));
            if (!drag.moved && Math.hypot(at.x - drag.x0, at.y - drag.y0) < LEAST_MOVE_PX) return;
            drag.moved = true;
            drag.found = next(drag, within(at, surface.getBoundingClientRect()), keysOf(event));
            drawGuides(drag.found.guides);
            if (drag.kind === "change") for (const {id} of drag.from) put(boxes.get(id), drag.found.boxes[id]);
            else {
                rubber.hidden = false;
                put(rubber, drag.found.box);
            }
        }

        /** @param {PointerEvent} event */
        function up(event) {
            fingers.delete(event.pointerId);
            if (!drag || event.pointerId !== drag.pointer) return;
            const {kind, found} = drag;
            if (event.type === "pointercancel") return cancel();
            clear();
            if (kind === "shape") return ed.shapes.up();
            if (kind === "change" && found) store.dispatch({type: "place", boxes: found.boxes});
            if (kind === "select" || kind === "draw" && !found) store.dispatch({type: "select", ids: inside(found)});
            if (kind === "draw" && found && found.box.w > LEAST_DRAW && found.box.h > LEAST_DRAW) ed.add([found.box]);
        }

        /** @param {DragResult | undefined} found */
        function inside(found) {
            return found ? store.state.regions.filter((/** @type {any} */ r) => !r.hidden && tiledDiffusion.layout.overlap(r, found.box)).map((/** @type {any} */ r) => r.id) : [];
        }

        function clear() {
            drag = null;
            rubber.hidden = true;
            guides.replaceChildren();
        }

        /** Ends a drag as if it had never begun. Whether there was one. */
        function cancel() {
            if (!drag) return false;
            if (drag.kind === "shape") ed.shapes.cancel();
            clear();
            render(store.state);
            return true;
        }

        /** Chromium lets go of the pointer after a right click in the middle of a drag. @param {PointerEvent} event */
        function lost(event) {
            if (drag?.pointer !== event.pointerId) return;
            if (event.buttons) stage.setPointerCapture(event.pointerId);
            else cancel();
        }

        /** A second finger ends what the first one was doing: two of them zoom. @param {PointerEvent} event */
        function touched(event) {
            fingers.set(event.pointerId, {x: event.clientX, y: event.clientY});
            if (fingers.size < 2) return false;
            cancel();
            event.preventDefault();
            return true;
        }

        /** @param {PointerEvent} event */
        function pinch(event) {
            const [a, b] = [...fingers.values()];
            fingers.set(event.pointerId, {x: event.clientX, y: event.clientY});
            const [c, d] = [...fingers.values()];
            const before = {x: (a.x + b.x) / 2, y: (a.y + b.y) / 2}, after = {x: (c.x + d.x) / 2, y: (c.y + d.y) / 2};
            zoomBy(Math.hypot(c.x - d.x, c.y - d.y) / Math.max(Math.hypot(a.x - b.x, a.y - b.y), 1), before);
            panTo(pan.x + after.x - before.x, pan.y + after.y - before.y);
        }

        /** A box that the Tab key comes to is selected. @param {FocusEvent} event */
        function focused(event) {
            const id = Number(/** @type {HTMLElement} */ (event.target).dataset.id);
            if (id && !byPointer && !store.state.selected.includes(id)) ed.select(id, false);
        }

        // ---- reference picture ---------------------------------------------------------------------------------
        /** @param {string | null} url @param {string} [opacity] @param {boolean} [own] whether the URL is to be revoked in the end */
        function showPicture(url, opacity = "0.6", own = false) {
            if (ownUrl) URL.revokeObjectURL(ownUrl);
            ownUrl = own && url || "";
            reference.hidden = !url;
            if (url) reference.src = url;
            else reference.removeAttribute("src");
            fade(opacity);
        }

        /** @param {string} opacity */
        function fade(opacity) { reference.style.opacity = opacity; }

        // ---- wiring --------------------------------------------------------------------------------------------
        stage.addEventListener("pointerdown", (/** @type {PointerEvent} */ e) => { byPointer = true; down(e); byPointer = false; }, listening);
        stage.addEventListener("pointermove", move, listening);
        stage.addEventListener("pointerup", up, listening);
        stage.addEventListener("pointercancel", up, listening);
        stage.addEventListener("lostpointercapture", lost, listening);
        surface.addEventListener("focusin", focused, listening);
        stage.addEventListener("wheel", (/** @type {WheelEvent} */ e) => {
            if (!e.ctrlKey && !e.metaKey) return;
            e.preventDefault();
            zoomBy(e.deltaY < 0 ? 1.1 : 0.9, {x: e.clientX, y: e.clientY});
        }, {...listening, passive: false});
        const watcher = new ResizeObserver(place);
        watcher.observe(stage);

        return {
            /** Whether a drag has begun to do something. */
            get dragging() { return Boolean(drag && (drag.moved || drag.kind !== "draw" && drag.kind !== "change")); },
            stage, surface, place, render, later, zoomBy, whole, cancel, showPicture, fade,
            /** @param {boolean} held */
            space(held) { spaceHeld = held; stage.classList.toggle("td-pan", held); },
            /** The number of tiles that are shown, 0 where they are not. */
            get tiles() { return showTiles && plan ? plan.tiles : 0; },
            toggleTiles() { showTiles = !showTiles; drawTiles(); ed.say(""); return showTiles; },
            /** @param {any} found */
            setPlan(found) { plan = found; place(); drawTiles(); later(); },
            destroy() { watcher.disconnect(); cancelAnimationFrame(frame); showPicture(null); },
        };
    }

    return {createCanvas};
})();
