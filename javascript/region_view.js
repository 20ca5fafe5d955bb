"use strict";
// The editor on the page: makes its parts, and says which of them knows which. Knows no gradio and no ids.

tiledDiffusion.Editor = class Editor extends tiledDiffusion.Part {
    #status;

    /** @param {HTMLElement} container @param {RegionStore} store @param {EditorHost} host */
    constructor(container, store, host) {
        super();
        const td = tiledDiffusion, {el} = td.ui, t = host.translate, root = el("div", {class: "td-root"});
        const tiles = new td.TileLayer(), status = this.#status = new td.StatusLine(store, host, tiles);
        const form = new td.RegionForm(store, host, status);
        const commands = new td.RegionCommands(store, host, status, form);
        const canvas = new td.Canvas(store, host, tiles, commands, status, root), {stage, pointer} = canvas;
        const list = new td.RegionList(store, t, stage);
        const bar = new td.Toolbar(store, host, canvas, commands, status, root);
        const keys = new td.Keyboard(root, commands, stage, canvas.shapes, pointer);
        const clipboard = new td.Clipboard(stage.node, store, status, file => {
            if (!bar.inserts.replace(file)) bar.pictures.take(file);
        });
        const menu = new td.CanvasMenu(root, store, t, stage, pointer, commands, () => bar.layouts.split());

        const starts = new td.EmptyCanvas(store, t, commands, bar.inserts);
        stage.surface.append(starts.words);

        const left = el("div", {class: "td-left"}, stage.node, status.node);
        const side = el("div", {class: "td-side"}, starts.node, list.node, form.node);
        root.append(bar.node, el("div", {class: "td-columns"}, left, side));
        this.during(() => {
            container.replaceChildren(root);
            return () => container.replaceChildren();
        });
        this.include(status, canvas, list, form, bar, keys, clipboard, menu, starts);
        this.on(container, "td-result", ({detail}) => canvas.show(detail));
        this.on(container, "td-plan", ({detail}) => {
            canvas.plan(detail);
            form.render();
            status.render();
        });
    }

    /** @param {string} words */
    say(words) {
        this.#status.say(words);
    }

    /** Takes it off the page, and every listener of it. */
    destroy() {
        this.disable();
    }
};

tiledDiffusion.view = {
    /**
     * An editor within a container.
     * @param {HTMLElement} container @param {RegionStore} store @param {EditorHost} host
     */
    createEditor(container, store, host) {
        const editor = new tiledDiffusion.Editor(container, store, host);
        editor.enable();
        return editor;
    },
};
