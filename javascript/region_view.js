"use strict";
// The editor on the page: draws the state and turns pointer and keys into actions. Knows no gradio and no ids.

/** @typedef {{size: () => {width: number, height: number}, unit: () => number, translate: (text: string) => string,
 *   pictures: Record<string, () => string | null>, presets: any, seed: () => number | null}} EditorHost */

tiledDiffusion.view = (() => {
    const {HANDLES, dragged, snapped, snapLines, between, around, contains, clamp} = tiledDiffusion.box;
    const paint = tiledDiffusion.paint;
    const REACH_PX = 6, LEAST_DRAW = 0.015;

    /**
     * An element with attributes, listeners (keys "on...") and children; texts are always text.
     * @param {string} tag @param {Record<string, any>} [attributes] @param {...(Node | string)} children
     * @returns {any}
     */
    function el(tag, attributes = {}, ...children) {
        const node = document.createElement(tag);
        for (const [key, value] of Object.entries(attributes)) {
            if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
            else if (value === true) node.setAttribute(key, "");
            else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, String(value));
        }
        node.append(...children);
        return node;
    }

    /**
     * Makes an editor within a container.
     * @param {HTMLElement} container @param {any} store @param {EditorHost} host
     */
    function createEditor(container, store, host) {
        const t = host.translate;
        const control = new AbortController();
        const listening = {signal: control.signal};
        /** @type {any} */
        let drag = null;
        let tool = "box", zoom = 1, pan = {x: 0, y: 0}, showTiles = false, frame = 0;
        /** @type {any} */
        let plan = null;
        /** @type {number[][]} */
        let points = [];
        /** @type {Map<number, any>} */
        const boxes = new Map();

        const reference = el("img", {class: "td-reference", alt: "", hidden: true, draggable: "false"});
        const painted = el("canvas", {class: "td-painted"});
        const tiles = el("div", {class: "td-tiles"});
        const guides = el("div", {class: "td-guides"});
        const rubber = el("div", {class: "td-rubber", hidden: true});
        const sketch = el("canvas", {class: "td-sketch", hidden: true});
        const surface = el("div", {class: "td-surface"}, reference, painted, tiles, rubber, guides, sketch);
        const stage = el("div", {class: "td-stage", tabindex: "0", role: "application", "aria-label": t("Region canvas")}, surface);
        const list = el("ol", {class: "td-list", "aria-label": t("Regions")});
        const fields = el("div", {class: "td-fields"});
        const warning = el("p", {class: "td-warning", role: "status"});
        const bar = el("div", {class: "td-bar", role: "toolbar"});
        const root = el("div", {class: "td-root"}, bar, el("div", {class: "td-columns"}, el("div", {class: "td-left"}, stage, warning), el("div", {class: "td-side"}, list, fields)));
        container.replaceChildren(root);

        // ---- toolbar -------------------------------------------------------------------------------------------
        /** @param {string} label @param {string} hint @param {() => void} act @param {Record<string, any>} [more] */
        function button(label, hint, act, more = {}) {
            return el("button", {type: "button", title: t(hint), "aria-label": t(hint), onclick: act, ...more}, label);
        }

        /** @type {Record<string, any>} */
        const tools = {
            box: button("▭", "Draw and move boxes", () => setTool("box")),
            ellipse: button("◯", "Shape: ellipse in the selected region", () => shapeOf("ellipse")),
            polygon: button("⬠", "Shape: click points, Enter closes", () => setTool("polygon")),
            brush: button(t("paint"), "Shape: paint", () => setTool("brush")),
            eraser: button(t("erase"), "Shape: erase", () => setTool("eraser")),
            whole: button("⊠", "Shape: the whole box again", () => shapeOf("box")),
        };
        const undo = button("↶", "Undo (Ctrl+Z)", () => store.undo());
        const redo = button("↷", "Redo (Ctrl+Shift+Z)", () => store.redo());
        const ratio = el("input", {type: "text", value: "1,1", size: "6", class: "td-ratio", title: t("Number of parts, or ratios such as 1,2,1"), "aria-label": t("Ratios")});
        const fill = el("select", {title: t("What is drawn where no region is"), "aria-label": t("What is drawn where no region is"), onchange: () => store.dispatch({type: "fill", value: fill.value})},
            el("option", {value: "main"}, t("rest: main prompt")), el("option", {value: "none"}, t("rest: an error")));
        const fileInput = el("input", {type: "file", accept: "application/json,.json", hidden: true, onchange: importFile});
        const pictureInput = el("input", {type: "file", accept: "image/*", hidden: true, onchange: () => usePicture(pictureInput.files[0])});
        const opacity = el("input", {type: "range", min: "0", max: "1", step: "0.05", value: "0.6", title: t("Opacity of the reference picture"), "aria-label": t("Opacity of the reference picture"), oninput: () => { reference.style.opacity = opacity.value; }});
        const presetName = el("input", {type: "text", size: "10", placeholder: t("preset"), list: `td-presets-${Math.random().toString(36).slice(2)}`, "aria-label": t("Preset")});
        const presetList = el("datalist", {id: presetName.getAttribute("list")});
        bar.append(
            group(...Object.values(tools)), group(undo, redo),
            group(ratio, button("▥", "Columns", () => arrange("columns")), button("▤", "Rows", () => arrange("rows")), button("▦", "Grid", () => arrange("grid")),
                button("✂", "Split the selected region into columns", () => arrange("split")), button("▨", "Fill the rest with a background", fillRest)),
            group(button(t("image"), "Reference picture from a file (or drop or paste one)", () => pictureInput.click()),
                ...Object.entries(host.pictures).map(([name, get]) => button(t(name), "Use as the reference picture", () => showPicture(get()))),
                opacity, button("✕", "Remove the reference picture", () => showPicture(null))),
            group(presetName, presetList, button(t("save"), "Save as a preset", savePreset), button(t("load"), "Load the preset", loadPreset), button(t("rename"), "Rename the loaded preset", renamePreset), button(t("delete"), "Delete the preset", deletePreset),
                button("⇩", "Save to a file", exportFile), button("⇧", "Load from a file", () => fileInput.click())),
            group(fill, button("#", "Show the tiles of the plan", () => { showTiles = !showTiles; drawTiles(); }), button("+", "Zoom in", () => zoomBy(1.25)), button("−", "Zoom out", () => zoomBy(0.8)), button("1:1", "Whole canvas", () => { zoom = 1; pan = {x: 0, y: 0}; place(); }), button(t("full"), "Full screen", fullScreen)),
            fileInput, pictureInput,
        );

        /** @param {...any} nodes */
        function group(...nodes) { return el("span", {class: "td-group"}, ...nodes); }

        /** @param {string} name */
        function setTool(name) {
            if (name !== "box" && !selectedOne()) return say(t("Select one region first"));
            tool = name;
            points = [];
            for (const [key, node] of Object.entries(tools)) node.classList.toggle("td-on", key === tool);
            stage.dataset.tool = tool;
            sketch.hidden = !["polygon", "brush", "eraser"].includes(tool);
            if (!sketch.hidden) beginSketch();
        }

        /** @param {string} text */
        function say(text) { warning.textContent = text; }

        /** Runs something; what it says is wrong is told. @param {() => any} act */
        async function told(act) {
            try {
                await act();
            } catch (error) {
                say(error instanceof Error ? error.message : String(error));
            }
        }

        // ---- state to page -------------------------------------------------------------------------------------
        /** The size of the picture that is made. */
        function size() { return host.size(); }

        function selectedOne() {
            const {regions, selected} = store.state;
            return selected.length === 1 ? regions.find((/** @type {any} */ r) => r.id === selected[0]) : null;
        }

        function place() {
            const {width, height} = size();
            const room = stage.clientWidth || 400;
            const full = document.fullscreenElement === root;
            const most = full ? window.innerHeight - 140 : 460;
            const scale = Math.min(room / width, most / height);
            stage.style.height = `${Math.round(height * scale)}px`;
            surface.style.width = `${Math.round(width * scale)}px`;
            surface.style.height = `${Math.round(height * scale)}px`;
            surface.style.transform = `translate(${pan.x}px, ${pan.y}px) scale(${zoom})`;
            surface.style.setProperty("--td-zoom", String(1 / zoom));
        }

        /** @param {any} node @param {Box} box */
        function put(node, box) {
            node.style.left = `${box.x * 100}%`;
            node.style.top = `${box.y * 100}%`;
            node.style.width = `${box.w * 100}%`;
            node.style.height = `${box.h * 100}%`;
        }

        /** @param {State} state */
        function render(state) {
            const ids = new Set(state.regions.map(r => r.id));
            for (const [id, node] of boxes) if (!ids.has(id)) { node.remove(); boxes.delete(id); }
            state.regions.forEach((region, n) => {
                let node = boxes.get(region.id);
                if (!node) {
                    node = el("div", {class: "td-box", "data-id": region.id}, el("span", {class: "td-label"}), ...HANDLES.map((/** @type {string} */ h) => el("i", {class: "td-handle", "data-handle": h})));
                    boxes.set(region.id, node);
                    surface.insertBefore(node, rubber);
                }
                put(node, region);
                node.style.setProperty("--td-colour", paint.colour(n));
                node.style.zIndex = String(10 + n);
                node.hidden = region.hidden;
                node.classList.toggle("td-selected", state.selected.includes(region.id));
                node.classList.toggle("td-foreground", region.layer === "foreground");
                node.classList.toggle("td-off", !region.enabled);
                node.firstChild.textContent = `${n + 1} ${region.name || region.prompt.slice(0, 40)}`;
            });
            renderList(state);
            renderFields(state);
            undo.disabled = !store.canUndo;
            redo.disabled = !store.canRedo;
            fill.value = state.fill;
            warn(state);
            later();
        }

        function later() {
            if (!frame) frame = requestAnimationFrame(() => { frame = 0; paint.draw(painted, store.state.regions, size(), later); });
        }

        /** @param {State} state */
        function warn(state) {
            const {width, height} = size(), unit = host.unit();
            const small = state.regions.filter(r => r.enabled && (r.w * width < unit * 2 || r.h * height < unit * 2)).map(r => state.regions.indexOf(r) + 1);
            const gap = state.fill === "none" && tiledDiffusion.layout.largestGap(state.regions.filter(r => r.enabled));
            const texts = [];
            if (small.length) texts.push(`${t("Very small for this model:")} ${small.join(", ")}`);
            if (gap && gap.w * gap.h > 1e-4) texts.push(t("A part of the canvas is in no region"));
            if (plan && showTiles) texts.push(`${plan.tiles} ${t("tiles")}`);
            warning.textContent = texts.join(" · ");
        }

        /** @param {State} state */
        function renderList(state) {
            list.replaceChildren(...state.regions.map((region, n) => el("li", {
                class: state.selected.includes(region.id) ? "td-selected" : "", draggable: "true", "data-id": region.id, tabindex: "0",
                onclick: (/** @type {any} */ e) => select(region.id, e.shiftKey || e.ctrlKey),
                onkeydown: (/** @type {any} */ e) => { if (e.key === "Enter") select(region.id, e.shiftKey); },
                ondragstart: (/** @type {any} */ e) => e.dataTransfer.setData("text/td-region", String(region.id)),
                ondragover: (/** @type {any} */ e) => e.preventDefault(),
                ondrop: (/** @type {any} */ e) => { e.preventDefault(); e.stopPropagation(); store.dispatch({type: "reorder", id: Number(e.dataTransfer.getData("text/td-region")), to: n}); },
            },
            el("span", {class: "td-swatch", style: `background:${paint.colour(n)}`}),
            el("span", {class: "td-name"}, `${n + 1} ${region.name || region.prompt.slice(0, 30) || t("(no prompt)")}`),
            toggle(region, "enabled", "●", "○", "Switch on or off"), toggle(region, "hidden", "◌", "◉", "Hide or show"), toggle(region, "locked", "■", "□", "Lock or unlock"))));
        }

        /** @param {EditorRegion} region @param {"enabled" | "hidden" | "locked"} key @param {string} on @param {string} off @param {string} hint */
        function toggle(region, key, on, off, hint) {
            return button(region[key] ? on : off, hint, () => store.dispatch({type: "edit", ids: [region.id], fields: {[key]: !region[key]}}), {"aria-pressed": String(region[key])});
        }

        // ---- fields of the selected region ---------------------------------------------------------------------
        let shown = "";
        /** @type {Record<string, any>} */
        let inputs = {};

        /** @param {State} state */
        function renderFields(state) {
            const one = selectedOne();
            const key = one ? String(one.id) : "";
            if (key !== shown) {
                shown = key;
                inputs = {};
                fields.replaceChildren(...(one ? build(one) : [el("p", {class: "td-hint"}, t(state.regions.length ? "Select a region to edit it." : "Drag on the canvas to draw a region."))]));
            }
            if (one) for (const [name, input] of Object.entries(inputs)) if (document.activeElement !== input) input.td(one[name]);
        }

        /** @param {string} name @param {any} value */
        function edit(name, value) {
            const one = selectedOne();
            if (one) told(() => store.dispatch({type: "edit", ids: [one.id], fields: {[name]: value}, merge: `${name} ${one.id}`}));
        }

        /** @param {EditorRegion} region */
        function build(region) {
            return [
                text("prompt", "Prompt", "What is drawn in this region", true),
                select_("join", "Main prompt", "How the main prompt joins it", [["replace", "left out"], ["append", "before it"], ["prepend", "after it"]]),
                text("negative_prompt", "Negative prompt", "What to avoid here; empty takes the main one", true, true),
                text("name", "Name", "For you alone", false),
                el("div", {class: "td-row"},
                    select_("layer", "Layer", "Backgrounds mix; foregrounds lie above them", [["background", "background"], ["foreground", "foreground"]]),
                    number("weight", "Weight", "How strongly a background counts where regions overlap", 0.1, 10, 0.1)),
                el("div", {class: "td-row"}, number("feather", "Feather", "Width of the soft edge, 0 to 1", 0, 1, 0.05),
                    select_("feather_shape", "Edge", "How the soft edge rises", [["smooth", "smooth"], ["linear", "linear"], ["quadratic", "quadratic"]])),
                el("div", {class: "td-row"}, number("seed", "Seed", "Start noise of its own; empty takes the picture's", 0, 2 ** 53 - 1, 1, true),
                    button(t("random"), "A new seed", () => edit("seed", Math.floor(Math.random() * 2 ** 32))), button(t("last"), "The last picture's seed", () => edit("seed", host.seed()))),
                el("div", {class: "td-row"}, number("cfg_scale", "CFG", "CFG scale of its own; empty takes the main one", 0, 50, 0.5, true),
                    number("step_from", "From", "Where in the sampling it begins, 0 to 1", 0, 1, 0.05), number("step_to", "To", "Where in the sampling it ends, 0 to 1", 0, 1, 0.05)),
                el("div", {class: "td-row"}, number("bootstrap", "Bootstrap", "Part of the sampling in which it sees plain colours around its shape", 0, 1, 0.05),
                    check("controlnet", "ControlNet", "ControlNets act on this region")),
                el("p", {class: "td-hint"}, `${Math.round(region.w * size().width)} × ${Math.round(region.h * size().height)} px`),
            ];
        }

        /** @param {string} name @param {string} label @param {string} hint @param {any} input @param {(value: any) => void} show */
        function labelled(name, label, hint, input, show) {
            input.td = show;
            input.setAttribute("title", t(hint));
            inputs[name] = input;
            const one = selectedOne();
            if (one) show(one[name]);
            return el("label", {class: "td-field"}, el("span", {}, t(label)), input);
        }

        /** @param {string} name @param {string} label @param {string} hint @param {boolean} long @param {boolean} [optional] */
        function text(name, label, hint, long, optional = false) {
            const input = el(long ? "textarea" : "input", {rows: long ? 2 : null, class: long ? "prompt" : "", placeholder: t(hint), onkeydown: (/** @type {any} */ e) => { if (long) weigh(e); }});
            const box = labelled(name, label, hint, input, value => { input.value = value ?? ""; });
            const marks = el("small", {class: "td-brackets"});
            input.addEventListener("input", () => {
                edit(name, optional && input.value === "" ? null : input.value);
                marks.textContent = brackets(input.value) ? "" : t("Brackets do not match");
            });
            box.append(marks);
            return box;
        }

        /** @param {string} name @param {string} label @param {string} hint @param {number} min @param {number} max @param {number} step @param {boolean} [optional] */
        function number(name, label, hint, min, max, step, optional = false) {
            const input = el("input", {type: "number", min, max, step, oninput: () => {
                if (input.value === "") return optional && edit(name, null);
                edit(name, Number(input.value));
            }});
            return labelled(name, label, hint, input, value => { input.value = value ?? ""; });
        }

        /** @param {string} name @param {string} label @param {string} hint @param {string[][]} choices */
        function select_(name, label, hint, choices) {
            const input = el("select", {onchange: () => edit(name, input.value)}, ...choices.map(([value, words]) => el("option", {value}, t(words))));
            return labelled(name, label, hint, input, value => { input.value = value; });
        }

        /** @param {string} name @param {string} label @param {string} hint */
        function check(name, label, hint) {
            const input = el("input", {type: "checkbox", onchange: () => edit(name, input.checked)});
            return labelled(name, label, hint, input, value => { input.checked = value; });
        }

        // ---- pointer -------------------------------------------------------------------------------------------
        /** @param {PointerEvent} event @returns {Point} */
        function pointOf(event) {
            const r = surface.getBoundingClientRect();
            return {x: (event.clientX - r.left) / r.width, y: (event.clientY - r.top) / r.height};
        }

        /** @param {number} id @param {boolean} more */
        function select(id, more) {
            const {selected} = store.state;
            const ids = !more ? [id] : selected.includes(id) ? selected.filter((/** @type {number} */ s) => s !== id) : [...selected, id];
            store.dispatch({type: "select", ids});
        }

        /** @param {PointerEvent} event */
        function down(event) {
            if (event.button === 1 || event.altKey && event.button === 0 && !/** @type {any} */ (event.target).closest(".td-box")) return startPan(event);
            if (event.button) return;
            stage.focus({preventScroll: true});
            if (tool === "polygon") return addPoint(event);
            if (tool === "brush" || tool === "eraser") return startStroke(event);
            const target = /** @type {HTMLElement} */ (event.target);
            const box = /** @type {HTMLElement | null} */ (target.closest(".td-box"));
            const start = pointOf(event), bounds = surface.getBoundingClientRect();
            const common = {start, bounds, reach: {x: REACH_PX / bounds.width, y: REACH_PX / bounds.height}, pointer: event.pointerId, key: `drag ${performance.now()}`};
            if (!box) {
                drag = {kind: event.shiftKey ? "lasso" : "draw", ...common};
            } else {
                const id = Number(box.dataset.id), {state} = store;
                if (event.shiftKey || event.ctrlKey) return select(id, true);
                if (!state.selected.includes(id)) select(id, false);
                const moving = store.state.regions.filter((/** @type {any} */ r) => store.state.selected.includes(r.id) && !r.locked);
                if (!moving.length) return;
                const handle = target.dataset.handle || "move";
                const others = state.regions.filter((/** @type {any} */ r) => !moving.includes(r));
                drag = {kind: "change", handle, from: moving.map((/** @type {any} */ r) => ({id: r.id, x: r.x, y: r.y, w: r.w, h: r.h})), lines: snapLines(others), ...common};
            }
            stage.setPointerCapture(event.pointerId);
            event.preventDefault();
        }

        /** @param {PointerEvent} event */
        function move(event) {
            if (!drag || event.pointerId !== drag.pointer) return;
            if (drag.kind === "pan") {
                pan = {x: drag.pan.x + event.clientX - drag.x, y: drag.pan.y + event.clientY - drag.y};
                return place();
            }
            if (drag.kind === "stroke") return stroke(event);
            const at = {x: (event.clientX - drag.bounds.left) / drag.bounds.width, y: (event.clientY - drag.bounds.top) / drag.bounds.height};
            if (drag.kind === "change") return change(event, at);
            drag.box = between(drag.start, at);
            rubber.hidden = false;
            put(rubber, drag.box);
        }

        /** @param {PointerEvent} event @param {Point} at */
        function change(event, at) {
            const {handle, from, start, lines, reach} = drag;
            const dx = at.x - start.x, dy = at.y - start.y;
            if (!drag.moved && Math.hypot(dx * drag.bounds.width, dy * drag.bounds.height) < 3) return;
            drag.moved = true;
            const whole = from.length === 1 ? from[0] : around(from);
            const options = {ratio: event.shiftKey && handle !== "move" ? whole.w / whole.h : null, centre: event.altKey};
            let next = dragged(whole, handle, dx, dy, options);
            guides.replaceChildren();
            if (!event.ctrlKey && !event.shiftKey && !event.altKey) {
                const found = snapped(next, handle, lines, reach);
                next = found.box;
                guides.replaceChildren(...found.guides.x.map((/** @type {number} */ x) => el("i", {class: "td-guide-x", style: `left:${x * 100}%`})), ...found.guides.y.map((/** @type {number} */ y) => el("i", {class: "td-guide-y", style: `top:${y * 100}%`})));
            }
            drag.boxes = Object.fromEntries(from.map((/** @type {any} */ b) => [b.id, from.length === 1 ? next : {
                x: next.x + (b.x - whole.x) / whole.w * next.w, y: next.y + (b.y - whole.y) / whole.h * next.h,
                w: b.w / whole.w * next.w, h: b.h / whole.h * next.h,
            }]));
            for (const [id, box] of Object.entries(drag.boxes)) put(boxes.get(Number(id)), /** @type {any} */ (box));
        }

        /** @param {PointerEvent} event */
        function up(event) {
            if (!drag || event.pointerId !== drag.pointer) return;
            const ended = drag;
            drag = null;
            rubber.hidden = true;
            guides.replaceChildren();
            if (ended.kind === "stroke") return endStroke();
            if (event.type === "pointercancel") return render(store.state);
            if (ended.kind === "change" && ended.boxes) store.dispatch({type: "place", boxes: ended.boxes});
            if (ended.kind === "lasso" && ended.box) {
                const inside = store.state.regions.filter((/** @type {any} */ r) => tiledDiffusion.layout.overlap(r, ended.box));
                store.dispatch({type: "select", ids: inside.map((/** @type {any} */ r) => r.id)});
            }
            if (ended.kind === "draw") {
                if (ended.box && ended.box.w > LEAST_DRAW && ended.box.h > LEAST_DRAW) add([{...snapped(ended.box, "se", snapLines(store.state.regions), ended.reach).box}]);
                else store.dispatch({type: "select", ids: []});
            }
        }

        /** @param {any[]} regions */
        function add(regions) {
            told(() => {
                store.dispatch({type: "add", regions: regions.map(r => ({prompt: "", join: "append", ...r}))});
                if (inputs.prompt) inputs.prompt.focus({preventScroll: true});
            });
        }

        /** @param {PointerEvent} event */
        function startPan(event) {
            drag = {kind: "pan", x: event.clientX, y: event.clientY, pan: {...pan}, pointer: event.pointerId};
            stage.setPointerCapture(event.pointerId);
            event.preventDefault();
        }

        /** @param {number} factor */
        function zoomBy(factor) {
            zoom = clamp(zoom * factor, 1, 12);
            if (zoom === 1) pan = {x: 0, y: 0};
            place();
        }

        // ---- free shapes ---------------------------------------------------------------------------------------
        /** @param {string} kind */
        function shapeOf(kind) {
            const one = selectedOne();
            if (!one) return say(t("Select one region first"));
            const circle = Array.from({length: 48}, (_, i) => [0.5 + 0.5 * Math.cos(i * Math.PI / 24), 0.5 + 0.5 * Math.sin(i * Math.PI / 24)].map(v => clamp(tiledDiffusion.box.rounded(v), 0, 1)));
            edit("mask", kind === "ellipse" ? {polygons: [circle]} : null);
            setTool("box");
        }

        /** @param {PointerEvent} event */
        function addPoint(event) {
            const one = selectedOne(), at = pointOf(event);
            if (!one) return setTool("box");
            points.push([clamp((at.x - one.x) / one.w, 0, 1), clamp((at.y - one.y) / one.h, 0, 1)].map(tiledDiffusion.box.rounded));
            drawSketch();
        }

        function closePolygon() {
            if (points.length >= 3) edit("mask", {polygons: [points]});
            setTool("box");
        }

        /** The mask's own pixels: at most 256 on the longer side. */
        function beginSketch() {
            const one = selectedOne(), {width, height} = size();
            const scale = 256 / Math.max(one.w * width, one.h * height);
            sketch.width = Math.max(8, Math.round(one.w * width * scale));
            sketch.height = Math.max(8, Math.round(one.h * height * scale));
            put(sketch, one);
            const context = sketch.getContext("2d");
            if (one.mask?.polygons && tool !== "polygon") {
                context.fillStyle = "#fff";
                paint.trace(context, one.mask.polygons, {x: 0, y: 0, w: sketch.width, h: sketch.height});
                context.fill("evenodd");
            } else if (one.mask?.picture && tool !== "polygon") {
                const image = new Image();
                image.onload = () => context.drawImage(paint.alphaOf(image), 0, 0, sketch.width, sketch.height);
                image.src = `data:image/png;base64,${one.mask.picture}`;
            } else if (tool === "eraser") {
                context.fillStyle = "#fff";
                context.fillRect(0, 0, sketch.width, sketch.height);
            }
        }

        function drawSketch() {
            const context = sketch.getContext("2d");
            context.clearRect(0, 0, sketch.width, sketch.height);
            paint.trace(context, [points], {x: 0, y: 0, w: sketch.width, h: sketch.height});
            context.strokeStyle = context.fillStyle = "#fff";
            context.lineWidth = 2;
            context.stroke();
            points.forEach(([x, y]) => context.fillRect(x * sketch.width - 3, y * sketch.height - 3, 6, 6));
        }

        /** @param {PointerEvent} event */
        function startStroke(event) {
            drag = {kind: "stroke", pointer: event.pointerId, last: null};
            stage.setPointerCapture(event.pointerId);
            stroke(event);
            event.preventDefault();
        }

        /** @param {PointerEvent} event */
        function stroke(event) {
            const bounds = sketch.getBoundingClientRect();
            const at = {x: (event.clientX - bounds.left) / bounds.width * sketch.width, y: (event.clientY - bounds.top) / bounds.height * sketch.height};
            const context = sketch.getContext("2d");
            context.globalCompositeOperation = tool === "eraser" ? "destination-out" : "source-over";
            context.strokeStyle = "#fff";
            context.lineCap = "round";
            context.lineWidth = Math.max(sketch.width, sketch.height) / 12 * (event.pressure ? 0.5 + event.pressure : 1);
            context.beginPath();
            context.moveTo((drag.last || at).x, (drag.last || at).y);
            context.lineTo(at.x, at.y);
            context.stroke();
            context.globalCompositeOperation = "source-over";
            drag.last = at;
        }

        function endStroke() {
            const flat = document.createElement("canvas");
            [flat.width, flat.height] = [sketch.width, sketch.height];
            const context = /** @type {CanvasRenderingContext2D} */ (flat.getContext("2d"));
            context.fillStyle = "#000";
            context.fillRect(0, 0, flat.width, flat.height);
            context.drawImage(sketch, 0, 0);
            edit("mask", {picture: flat.toDataURL("image/png").split(",")[1]});
        }

        // ---- keys, clipboard, menus ----------------------------------------------------------------------------
        /** @param {KeyboardEvent} event */
        function key(event) {
            if (/** @type {HTMLElement} */ (event.target).closest("input, textarea, select")) return event.stopPropagation();
            const step = event.shiftKey ? 10 : 1, {width, height} = size();
            /** @type {Record<string, () => void>} */
            const plainKeys = {
                ArrowLeft: () => nudge(-step * 8 / width, 0), ArrowRight: () => nudge(step * 8 / width, 0),
                ArrowUp: () => nudge(0, -step * 8 / height), ArrowDown: () => nudge(0, step * 8 / height),
                Delete: () => store.dispatch({type: "remove"}), Backspace: () => store.dispatch({type: "remove"}),
                Escape: () => tool === "box" ? store.dispatch({type: "select", ids: []}) : setTool("box"),
                Enter: () => tool === "polygon" && closePolygon(),
            };
            /** @type {Record<string, () => void>} */
            const control_ = {
                d: () => store.dispatch({type: "duplicate"}), a: () => store.dispatch({type: "select", ids: store.state.regions.map((/** @type {any} */ r) => r.id)}),
                z: () => event.shiftKey ? store.redo() : store.undo(), y: () => store.redo(),
            };
            const act = event.ctrlKey || event.metaKey ? control_[event.key.toLowerCase()] : plainKeys[event.key];
            if (!act) return;
            act();
            event.preventDefault();
            event.stopPropagation();
        }

        /** @param {number} dx @param {number} dy */
        function nudge(dx, dy) { store.dispatch({type: "nudge", dx, dy, merge: "nudge"}); }

        /** @param {ClipboardEvent} event */
        function copy(event) {
            const chosen = store.state.regions.filter((/** @type {any} */ r) => store.state.selected.includes(r.id));
            if (!chosen.length || /** @type {HTMLElement} */ (event.target).closest("input, textarea")) return;
            event.clipboardData?.setData("text/plain", tiledDiffusion.data.write({regions: chosen, fill: "main", rerolls: []}));
            event.preventDefault();
        }

        /** @param {ClipboardEvent} event */
        function paste(event) {
            if (/** @type {HTMLElement} */ (event.target).closest("input, textarea")) return;
            const picture = [...event.clipboardData?.files || []].find(f => f.type.startsWith("image/"));
            if (picture) return usePicture(picture);
            const words = event.clipboardData?.getData("text/plain") || "";
            told(() => store.dispatch({type: "add", regions: tiledDiffusion.data.parse(words).regions}));
            event.preventDefault();
        }

        /** Ctrl+Up and Ctrl+Down change the weight of what is selected, as in the main prompt. @param {KeyboardEvent} event */
        function weigh(event) {
            if (!event.ctrlKey || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
            event.preventDefault();
            const input = /** @type {HTMLTextAreaElement} */ (event.target);
            let [from, to] = [input.selectionStart, input.selectionEnd];
            if (from === to) {
                from = input.value.slice(0, from).search(/[^\s,()]*$/);
                to += (input.value.slice(to).match(/^[^\s,():]*/) || [""])[0].length;
            }
            if (from === to) return;
            const [before, chosen, after] = [input.value.slice(0, from), input.value.slice(from, to), input.value.slice(to)];
            const open = before.endsWith("(") && after.match(/^:([\d.]+)\)/);
            const weight = Math.round(((open ? Number(open[1]) : 1) + (event.key === "ArrowUp" ? 0.1 : -0.1)) * 100) / 100;
            const left = open ? before.slice(0, -1) : before, right = open ? after.slice(open[0].length) : after;
            input.value = weight === 1 ? left + chosen + right : `${left}(${chosen}:${weight})${right}`;
            const at = left.length + (weight === 1 ? 0 : 1);
            input.setSelectionRange(at, at + chosen.length);
            input.dispatchEvent(new Event("input", {bubbles: true}));
        }

        /** @param {string} words */
        function brackets(words) {
            const open = [];
            for (const c of words.replace(/\\./g, "")) {
                if ("([{".includes(c)) open.push(c);
                if (")]}".includes(c) && open.pop() !== "([{"[")]}".indexOf(c)]) return false;
            }
            return !open.length;
        }

        /** @param {MouseEvent} event */
        function menu(event) {
            event.preventDefault();
            const box = /** @type {HTMLElement} */ (/** @type {HTMLElement} */ (event.target).closest(".td-box"));
            if (box && !store.state.selected.includes(Number(box.dataset.id))) select(Number(box.dataset.id), false);
            const entries = store.state.selected.length ? [
                ["Duplicate", () => store.dispatch({type: "duplicate"})], ["To the front", () => order(Infinity)], ["To the back", () => order(0)],
                ["Split into columns", () => arrange("split")], ["Delete", () => store.dispatch({type: "remove"})],
            ] : [["Select all", () => store.dispatch({type: "select", ids: store.state.regions.map((/** @type {any} */ r) => r.id)})], ["Fill the rest with a background", fillRest]];
            const opened = el("div", {class: "td-menu", role: "menu", style: `left:${event.clientX}px;top:${event.clientY}px`},
                ...entries.map(([words, act]) => el("button", {type: "button", role: "menuitem", onclick: () => { opened.remove(); /** @type {any} */ (act)(); }}, t(String(words)))));
            root.querySelector(".td-menu")?.remove();
            root.append(opened);
            opened.firstChild.focus();
        }

        /** @param {number} to */
        function order(to) { store.state.selected.forEach((/** @type {number} */ id) => store.dispatch({type: "reorder", id, to})); }

        // ---- layouts, presets, files, pictures -----------------------------------------------------------------
        /** @param {string} how */
        function arrange(how) {
            told(() => {
                const {ratios, columns, rows, grid} = tiledDiffusion.layout, whole = {x: 0, y: 0, w: 1, h: 1}, parts = ratios(ratio.value);
                if (how === "split") {
                    const one = selectedOne();
                    if (!one) return say(t("Select one region first"));
                    const pieces = columns(one, parts.length > 1 ? parts : [1, 1]).map((/** @type {Box} */ b) => ({...one, ...b, mask: null}));
                    store.dispatch({type: "place", boxes: {[one.id]: pieces[0]}, merge: "split"});
                    return store.dispatch({type: "add", regions: pieces.slice(1), merge: "split"});
                }
                add(how === "grid" ? grid(whole, parts, parts) : how === "rows" ? rows(whole, parts) : columns(whole, parts));
            });
        }

        function fillRest() {
            const gap = tiledDiffusion.layout.largestGap(store.state.regions.filter((/** @type {any} */ r) => r.enabled));
            if (gap) add([gap]);
            else say(t("Nothing is left to fill"));
        }

        let loaded = "";
        async function refreshPresets() {
            const found = await host.presets.list();
            presetList.replaceChildren(...found.presets.map((/** @type {any} */ p) => el("option", {value: p.name})));
            if (found.broken.length) say(found.broken.map((/** @type {any} */ b) => `${b.file}: ${b.error}`).join(" · "));
        }
        function savePreset() { told(async () => { await host.presets.save(presetName.value, JSON.parse(tiledDiffusion.data.write(store.state) || "{}")); loaded = presetName.value; await refreshPresets(); say(t("Saved")); }); }
        function loadPreset() { told(async () => { store.dispatch({type: "load", document: tiledDiffusion.data.read(await host.presets.load(presetName.value))}); loaded = presetName.value; }); }
        function renamePreset() { told(async () => { await host.presets.rename(loaded, presetName.value); loaded = presetName.value; await refreshPresets(); }); }
        function deletePreset() { told(async () => { await host.presets.remove(presetName.value); presetName.value = ""; await refreshPresets(); say(t("Deleted")); }); }

        function exportFile() {
            const url = URL.createObjectURL(new Blob([tiledDiffusion.data.write(store.state) || "{}"], {type: "application/json"}));
            el("a", {href: url, download: "regions.json"}).click();
            setTimeout(() => URL.revokeObjectURL(url), 1000);
        }
        function importFile() {
            told(async () => {
                const text = await fileInput.files[0].text();
                const foreign = text.includes('"bbox_controls"') || text.includes('"Region control"');
                const document = foreign ? tiledDiffusion.data.read(await host.presets.convert(JSON.parse(text))) : tiledDiffusion.data.parse(text);
                store.dispatch({type: "load", document});
            });
            setTimeout(() => { fileInput.value = ""; }, 500);
        }

        /** @param {File | null | undefined} file */
        function usePicture(file) {
            if (!file || !file.type.startsWith("image/")) return;
            if (file.name.endsWith(".json")) return;
            showPicture(URL.createObjectURL(file));
        }
        /** @param {string | null} url */
        function showPicture(url) {
            reference.hidden = !url;
            if (url) reference.src = url;
            else reference.removeAttribute("src");
            reference.style.opacity = opacity.value;
        }

        function drawTiles() {
            tiles.replaceChildren(...(showTiles && plan ? plan.boxes.slice(0, 600).map((/** @type {any} */ b) => { const node = el("i", {class: "td-tile"}); put(node, b); return node; }) : []));
            warn(store.state);
        }

        function fullScreen() {
            if (document.fullscreenElement) document.exitFullscreen();
            else root.requestFullscreen?.();
        }

        // ---- wiring --------------------------------------------------------------------------------------------
        stage.addEventListener("pointerdown", down, listening);
        stage.addEventListener("pointermove", move, listening);
        stage.addEventListener("pointerup", up, listening);
        stage.addEventListener("pointercancel", up, listening);
        stage.addEventListener("dblclick", () => tool === "polygon" && closePolygon(), listening);
        stage.addEventListener("contextmenu", menu, listening);
        stage.addEventListener("wheel", (/** @type {WheelEvent} */ e) => { if (e.ctrlKey) { e.preventDefault(); zoomBy(e.deltaY < 0 ? 1.1 : 0.9); } }, {...listening, passive: false});
        stage.addEventListener("copy", copy, listening);
        stage.addEventListener("paste", paste, listening);
        stage.addEventListener("dragover", (/** @type {DragEvent} */ e) => e.preventDefault(), listening);
        stage.addEventListener("drop", (/** @type {DragEvent} */ e) => { e.preventDefault(); e.stopPropagation(); usePicture(e.dataTransfer?.files[0]); }, listening);
        root.addEventListener("keydown", key, listening);
        root.addEventListener("pointerdown", (/** @type {any} */ e) => { if (!e.target.closest(".td-menu")) root.querySelector(".td-menu")?.remove(); }, listening);
        container.addEventListener("td-plan", (/** @type {any} */ e) => { plan = e.detail; place(); drawTiles(); later(); }, listening);
        document.addEventListener("fullscreenchange", place, listening);
        const watcher = new ResizeObserver(place);
        watcher.observe(stage);
        const stop = store.subscribe(render);
        setTool("box");
        place();
        render(store.state);
        refreshPresets().catch(() => {});

        return {
            root, place,
            /** Removes the editor and every listener of it. */
            destroy() {
                control.abort();
                watcher.disconnect();
                stop();
                cancelAnimationFrame(frame);
                container.replaceChildren();
            },
        };
    }

    return {createEditor, contains};
})();
