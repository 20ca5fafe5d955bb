"use strict";
// The editor on the page: puts its parts together; keys, clipboard and menu. Knows no gradio and no ids.

tiledDiffusion.view = (() => {
    const {el} = tiledDiffusion.ui;
    const STEP_PX = 8, STEPS_AT_ONCE = 10, SMALL = 2;
    const NEW_BOX = {x: 0.35, y: 0.3, w: 0.3, h: 0.4};

    /**
     * Makes an editor within a container.
     * @param {HTMLElement} container @param {any} store @param {EditorHost} host
     */
    function createEditor(container, store, host) {
        const t = host.translate, control = new AbortController(), listening = {signal: control.signal};
        const warning = el("p", {class: "td-warning", role: "status"});
        let words = "";

        /** @type {Editor} */
        const ed = {
            store, host, t, signal: control.signal, root: el("div", {class: "td-root"}),
            canvas: null, shapes: null, list: null, fields: null, bar: null,
            say(text) { words = text; warn(store.state); },
            async told(act) {
                try {
                    await act();
                } catch (error) {
                    ed.say(error instanceof Error ? error.message : String(error));
                }
            },
            one() {
                const {regions, selected} = store.state;
                return selected.length === 1 ? regions.find((/** @type {any} */ r) => r.id === selected[0]) : null;
            },
            select(id, more) {
                const {selected} = store.state;
                store.dispatch({type: "select", ids: !more ? [id] : selected.includes(id) ? selected.filter((/** @type {number} */ s) => s !== id) : [...selected, id]});
            },
            add(regions) {
                ed.told(() => {
                    store.dispatch({type: "add", regions: regions.map(r => ({prompt: "", join: "append", ...r}))});
                    ed.fields.focus();
                });
            },
        };
        ed.shapes = tiledDiffusion.shapes.createShapes(ed);
        ed.canvas = tiledDiffusion.canvas.createCanvas(ed);
        ed.list = tiledDiffusion.list.createList(ed);
        ed.fields = tiledDiffusion.fields.createFields(ed);
        ed.bar = tiledDiffusion.bar.createBar(ed);
        const {root} = ed, {stage} = ed.canvas;
        root.append(ed.bar.node, el("div", {class: "td-columns"}, el("div", {class: "td-left"}, stage, warning), el("div", {class: "td-side"}, ed.list.node, ed.fields.node)));
        container.replaceChildren(root);

        /** @param {State} state */
        function render(state) {
            words = "";
            for (const part of [ed.canvas, ed.list, ed.fields, ed.bar, ed.shapes]) part.render(state);
            warn(state);
        }

        /** What was said last, and what the regions' boxes are short of. @param {State} state */
        function warn(state) {
            const {width, height} = host.size(), least = SMALL * host.unit(), on = state.regions.filter(r => r.enabled);
            const small = on.filter(r => r.w * width < least || r.h * height < least).map(r => state.regions.indexOf(r) + 1);
            const open = on.length ? Math.round(100 * tiledDiffusion.layout.uncovered(on)) : 0;
            const texts = words ? [words] : [];
            if (small.length) texts.push(`${t("Very small for this model:")} ${small.join(", ")}`);
            if (open) texts.push(`${open} % ${t(state.fill === "none" ? "of the canvas is in no region" : "of the canvas is left to the main prompt")}`);
            if (ed.canvas.tiles) texts.push(`${ed.canvas.tiles} ${t("tiles")}`);
            warning.textContent = texts.join(" · ");
            warning.classList.toggle("td-wrong", Boolean(words || small.length || open && state.fill === "none"));
        }

        // ---- keys ----------------------------------------------------------------------------------------------
        /** @param {string} type @param {number} x @param {number} y in pixels of the picture */
        function step(type, x, y) {
            const {width, height} = host.size();
            store.dispatch({type, dx: x / width, dy: y / height, merge: type});
        }

        /** @param {KeyboardEvent} event @returns {Record<string, () => any>} */
        function plainKeys(event) {
            const by = STEP_PX * (event.shiftKey ? STEPS_AT_ONCE : 1);
            return {
                ArrowLeft: () => step("nudge", -by, 0), ArrowRight: () => step("nudge", by, 0), ArrowUp: () => step("nudge", 0, -by), ArrowDown: () => step("nudge", 0, by),
                Delete: () => store.dispatch({type: "remove"}), Backspace: () => store.dispatch({type: "remove"}),
                PageUp: () => store.dispatch({type: "front"}), PageDown: () => store.dispatch({type: "back"}),
                Escape: () => ed.canvas.cancel() || store.dispatch({type: "select", ids: []}),
                Enter: () => ed.one() && ed.fields.focus(), n: () => ed.add([NEW_BOX]),
                " ": () => ed.canvas.space(true), "+": () => ed.canvas.zoomBy(1.25), "-": () => ed.canvas.zoomBy(0.8),
            };
        }

        /** @param {KeyboardEvent} event @returns {Record<string, () => any>} */
        function controlKeys(event) {
            const by = STEP_PX * (event.shiftKey ? STEPS_AT_ONCE : 1);
            return {
                ArrowLeft: () => step("grow", -by, 0), ArrowRight: () => step("grow", by, 0), ArrowUp: () => step("grow", 0, -by), ArrowDown: () => step("grow", 0, by),
                d: duplicate, a: selectAll, z: () => ed.canvas.cancel() || (event.shiftKey ? store.redo() : store.undo()), y: () => store.redo(),
            };
        }

        function duplicate() { ed.told(() => store.dispatch({type: "duplicate"})); }

        function selectAll() { store.dispatch({type: "select", ids: store.state.regions.map((/** @type {any} */ r) => r.id)}); }

        /** @param {KeyboardEvent} event */
        function key(event) {
            const target = /** @type {HTMLElement} */ (event.target), control_ = event.ctrlKey || event.metaKey;
            if (target.closest("input, textarea, select")) return;
            const letter = event.key.length === 1 ? event.key.toLowerCase() : event.key;
            if (target.closest("button") && !(control_ && "zy".includes(letter))) return;
            const act = control_ ? controlKeys(event)[letter] : ed.shapes.key(event.key) ? () => {} : plainKeys(event)[letter];
            if (!act || event.altKey) return;
            act();
            event.preventDefault();
            event.stopPropagation();
        }

        // ---- clipboard -----------------------------------------------------------------------------------------
        /** @param {ClipboardEvent} event */
        function copy(event) {
            const chosen = store.state.regions.filter((/** @type {any} */ r) => store.state.selected.includes(r.id));
            if (!chosen.length) return;
            event.clipboardData?.setData("text/plain", tiledDiffusion.data.write({regions: chosen, fill: "main", rerolls: []}));
            event.preventDefault();
        }

        /** @param {ClipboardEvent} event */
        function paste(event) {
            event.preventDefault();
            const picture = [...event.clipboardData?.files || []].find(f => f.type.startsWith("image/"));
            if (picture) return ed.bar.usePicture(picture);
            const text = event.clipboardData?.getData("text/plain") || "";
            ed.told(() => store.dispatch({type: "add", regions: tiledDiffusion.data.parse(text).regions}));
        }

        // ---- menu ----------------------------------------------------------------------------------------------
        /** @param {MouseEvent} event */
        function menu(event) {
            event.preventDefault();
            if (ed.canvas.dragging) return;
            ed.canvas.cancel();
            const box = /** @type {HTMLElement | null} */ (/** @type {HTMLElement} */ (event.target).closest(".td-box"));
            if (box && !store.state.selected.includes(Number(box.dataset.id))) ed.select(Number(box.dataset.id), false);
            /** @type {[string, () => void][]} */
            const entries = store.state.selected.length ? [
                [t("Duplicate"), duplicate], [t("To the front"), () => store.dispatch({type: "front"})], [t("To the back"), () => store.dispatch({type: "back"})],
                [t("Split into columns"), ed.bar.split], [t("Delete"), () => store.dispatch({type: "remove"})],
            ] : [[t("Select all"), selectAll], [t("Fill the rest with a background"), ed.bar.fillRest]];
            closeMenu();
            const opened = el("div", {class: "td-menu", role: "menu", style: `left:${event.clientX}px;top:${event.clientY}px`, onkeydown: menuKey},
                ...entries.map(([label, act]) => el("button", {type: "button", role: "menuitem", onclick: () => { closeMenu(); stage.focus({preventScroll: true}); act(); }}, label)));
            root.append(opened);
            const found = opened.getBoundingClientRect();
            opened.style.left = `${event.clientX - Math.max(0, found.right - window.innerWidth)}px`;
            opened.style.top = `${event.clientY - Math.max(0, found.bottom - window.innerHeight)}px`;
            opened.firstChild.focus();
        }

        /** @param {KeyboardEvent} event */
        function menuKey(event) {
            const item = /** @type {HTMLElement} */ (event.target);
            /** @type {Record<string, () => void>} */
            const acts = {
                Escape: () => { closeMenu(); stage.focus({preventScroll: true}); },
                ArrowDown: () => /** @type {HTMLElement | null} */ (item.nextElementSibling)?.focus(), ArrowUp: () => /** @type {HTMLElement | null} */ (item.previousElementSibling)?.focus(),
            };
            if (!acts[event.key]) return;
            acts[event.key]();
            event.preventDefault();
            event.stopPropagation();
        }

        function closeMenu() { root.querySelector(".td-menu")?.remove(); }

        // ---- wiring --------------------------------------------------------------------------------------------
        stage.addEventListener("dblclick", () => ed.shapes.tool === "polygon" && ed.shapes.close(), listening);
        stage.addEventListener("contextmenu", menu, listening);
        stage.addEventListener("copy", copy, listening);
        stage.addEventListener("paste", paste, listening);
        stage.addEventListener("dragover", (/** @type {DragEvent} */ e) => e.preventDefault(), listening);
        stage.addEventListener("drop", (/** @type {DragEvent} */ e) => { e.preventDefault(); e.stopPropagation(); ed.bar.usePicture(e.dataTransfer?.files[0]); }, listening);
        document.addEventListener("keyup", (/** @type {KeyboardEvent} */ e) => { if (e.key === " ") ed.canvas.space(false); }, listening);
        window.addEventListener("blur", () => ed.canvas.space(false), listening);
        root.addEventListener("keydown", key, listening);
        document.addEventListener("pointerdown", (/** @type {any} */ e) => { if (!e.composedPath().some((/** @type {any} */ n) => n.classList?.contains("td-menu"))) closeMenu(); }, listening);
        container.addEventListener("td-plan", (/** @type {any} */ e) => { ed.canvas.setPlan(e.detail); ed.fields.render(store.state); warn(store.state); }, listening);
        document.addEventListener("fullscreenchange", ed.canvas.place, listening);
        const stop = store.subscribe(render);
        ed.shapes.setTool("box");
        ed.canvas.place();
        render(store.state);
        ed.bar.refreshPresets().catch(() => {});

        return {
            root, place: ed.canvas.place, say: ed.say,
            /** Removes the editor and every listener of it. */
            destroy() {
                control.abort();
                stop();
                ed.canvas.destroy();
                ed.fields.destroy();
                container.replaceChildren();
            },
        };
    }

    return {createEditor};
})();
