"use strict";
// The editor's toolbar: tools, undo, layouts, the reference picture, presets and files, zoom.

tiledDiffusion.bar = (() => {
    const {el, buttons} = tiledDiffusion.ui;
    const WHOLE = {x: 0, y: 0, w: 1, h: 1};
    let made = 0;

    /** @param {Editor} ed */
    function createBar(ed) {
        const {store, host, t, say, told} = ed, button = buttons(t);
        const undo = button("↶", "Undo (Ctrl+Z)", () => store.undo()), redo = button("↷", "Redo (Ctrl+Shift+Z)", () => store.redo());
        const ratio = el("input", {type: "text", value: "1,1", size: "6", class: "td-ratio", title: t("Number of parts, or ratios such as 1,2,1"), "aria-label": t("Ratios")});
        const fill = el("select", {title: t("What is drawn where no region is"), "aria-label": t("What is drawn where no region is"), onchange: () => store.dispatch({type: "fill", value: fill.value})},
            el("option", {value: "main"}, t("rest: main prompt")), el("option", {value: "none"}, t("rest: an error")));
        const fileInput = el("input", {type: "file", accept: "application/json,.json", hidden: true, onchange: importFile});
        const pictureInput = el("input", {type: "file", accept: "image/*", hidden: true, onchange: () => { usePicture(pictureInput.files[0]); pictureInput.value = ""; }});
        const opacity = el("input", {type: "range", min: "0", max: "1", step: "0.05", value: "0.6", title: t("Opacity of the reference picture"), "aria-label": t("Opacity of the reference picture"), oninput: () => ed.canvas.fade(opacity.value)});
        const presetName = el("input", {type: "text", size: "10", placeholder: t("preset"), list: `td-presets-${++made}`, "aria-label": t("Preset")});
        const presetList = el("datalist", {id: presetName.getAttribute("list")});
        const tiles = button("#", "Show the tiles of the plan", () => tiles.classList.toggle("td-on", ed.canvas.toggleTiles()));
        const node = el("div", {class: "td-bar", role: "toolbar", "aria-label": t("Tools")},
            group(...ed.shapes.buttons), group(undo, redo),
            group(ratio, button("▥", "Columns", () => arrange("columns")), button("▤", "Rows", () => arrange("rows")), button("▦", "Grid", () => arrange("grid")),
                button("✂", "Split the selected region into columns", split), button("▨", "Fill the rest with a background", fillRest)),
            group(button(t("image"), "Reference picture from a file (or drop or paste one)", () => pictureInput.click()),
                ...Object.entries(host.pictures).map(([name, get]) => button(t(name), "Use as the reference picture", () => showPicture(get()))),
                opacity, button("✕", "Remove the reference picture", () => ed.canvas.showPicture(null))),
            group(presetName, presetList, button(t("save"), "Save as a preset", savePreset), button(t("load"), "Load the preset", loadPreset), button(t("rename"), "Rename the loaded preset", renamePreset), button(t("delete"), "Delete the preset", deletePreset),
                button("⇩", "Save to a file", exportFile), button("⇧", "Load from a file", () => fileInput.click())),
            group(fill, tiles, button("+", "Zoom in", () => ed.canvas.zoomBy(1.25)), button("−", "Zoom out", () => ed.canvas.zoomBy(0.8)), button("1:1", "Whole canvas", () => ed.canvas.whole()), button(t("full"), "Full screen", fullScreen)),
            fileInput, pictureInput);

        /** @param {...any} nodes */
        function group(...nodes) { return el("span", {class: "td-group"}, ...nodes); }

        function parts() { return tiledDiffusion.layout.ratios(ratio.value); }

        /** @param {"columns" | "rows" | "grid"} how */
        function arrange(how) {
            told(() => ed.add(how === "grid" ? tiledDiffusion.layout.grid(WHOLE, parts(), parts()) : tiledDiffusion.layout[how](WHOLE, parts())));
        }

        /** The selected region becomes several of its kind, side by side, in one step. */
        function split() {
            told(() => {
                const one = ed.shapes.needed();
                if (!one) return;
                const boxes = tiledDiffusion.layout.columns(one, parts().length > 1 ? parts() : [1, 1]);
                store.dispatch({type: "split", id: one.id, boxes});
            });
        }

        function fillRest() {
            const gap = tiledDiffusion.layout.largestGap(store.state.regions.filter((/** @type {any} */ r) => r.enabled));
            if (gap) ed.add([gap]);
            else say(t("Nothing is left to fill"));
        }

        // ---- presets and files ---------------------------------------------------------------------------------
        let loaded = "";
        /** @type {string[]} */
        let known = [];

        async function refreshPresets() {
            const found = await host.presets.list();
            known = found.presets.map((/** @type {any} */ p) => p.name);
            presetList.replaceChildren(...known.map(name => el("option", {value: name})));
            if (found.broken.length) say(found.broken.map((/** @type {any} */ b) => `${b.file}: ${b.error}`).join(" · "));
        }

        function savePreset() {
            const name = presetName.value;
            if (known.includes(name) && name !== loaded && !window.confirm(`${name}: ${t("replace this preset?")}`)) return;
            told(async () => {
                await host.presets.save(name, JSON.parse(tiledDiffusion.data.write(store.state) || "{}"));
                loaded = name;
                await refreshPresets();
                say(t("Saved"));
            });
        }

        function loadPreset() {
            told(async () => {
                store.dispatch({type: "load", document: tiledDiffusion.data.read(await host.presets.load(presetName.value))});
                loaded = presetName.value;
            });
        }

        function renamePreset() {
            told(async () => {
                if (!loaded) return say(t("Load or save a preset first"));
                await host.presets.rename(loaded, presetName.value);
                loaded = presetName.value;
                await refreshPresets();
                say(t("Renamed"));
            });
        }

        function deletePreset() {
            const name = presetName.value;
            if (!window.confirm(`${name}: ${t("delete this preset?")}`)) return;
            told(async () => {
                await host.presets.remove(name);
                [presetName.value, loaded] = ["", loaded === name ? "" : loaded];
                await refreshPresets();
                say(t("Deleted"));
            });
        }

        function exportFile() {
            const url = URL.createObjectURL(new Blob([tiledDiffusion.data.write(store.state) || "{}"], {type: "application/json"}));
            el("a", {href: url, download: "regions.json"}).click();
            setTimeout(() => URL.revokeObjectURL(url), 1000);
        }

        function importFile() {
            told(async () => {
                const text = await fileInput.files[0].text();
                fileInput.value = "";
                const foreign = text.includes('"bbox_controls"') || text.includes('"Region control"');
                const document = foreign ? tiledDiffusion.data.read(await host.presets.convert(JSON.parse(text))) : tiledDiffusion.data.parse(text);
                store.dispatch({type: "load", document});
            });
        }

        // ---- reference picture ---------------------------------------------------------------------------------
        /** @param {File | null | undefined} file */
        function usePicture(file) {
            if (file && file.type.startsWith("image/")) ed.canvas.showPicture(URL.createObjectURL(file), opacity.value, true);
        }

        /** @param {string | null} url */
        function showPicture(url) {
            if (url) ed.canvas.showPicture(url, opacity.value);
            else say(t("There is no such picture yet"));
        }

        function fullScreen() {
            if (document.fullscreenElement) document.exitFullscreen();
            else ed.root.requestFullscreen?.();
        }

        /** @param {State} state */
        function render(state) {
            const focused = node.getRootNode().activeElement;
            if (focused === undo && !store.canUndo || focused === redo && !store.canRedo) ed.canvas.stage.focus({preventScroll: true});
            undo.disabled = !store.canUndo;
            redo.disabled = !store.canRedo;
            fill.value = state.fill;
        }

        return {node, render, split, fillRest, usePicture, refreshPresets};
    }

    return {createBar};
})();
