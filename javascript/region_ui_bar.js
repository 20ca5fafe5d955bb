"use strict";
// The editor's toolbar, and its groups for undo, layouts and the view.

/** A group of the toolbar. */
tiledDiffusion.ToolGroup = class ToolGroup extends tiledDiffusion.Widget {
    /** @param {...Node} nodes */
    static node(...nodes) {
        return tiledDiffusion.ui.el("span", {class: "td-group"}, ...nodes);
    }
};

/** Undo and redo. */
tiledDiffusion.HistoryGroup = class HistoryGroup extends tiledDiffusion.ToolGroup {
    /**
     * @param {RegionStore} store @param {Translate} t
     * @param {Focusable} canvas takes the focus of a button that goes out
     */
    constructor(store, t, canvas) {
        super(t);
        const undo = this.button("↶", "Undo (Ctrl+Z)", () => store.undo());
        const redo = this.button("↷", "Redo (Ctrl+Shift+Z)", () => store.redo());
        this.node = tiledDiffusion.ToolGroup.node(undo, redo);
        this.follow(store, () => {
            const {hasFocus} = tiledDiffusion.ui;
            if (!store.canUndo && hasFocus(undo) || !store.canRedo && hasFocus(redo)) canvas.focus();
            undo.disabled = !store.canUndo;
            redo.disabled = !store.canRedo;
        });
    }
};

/** Regions side by side, and what is left over. */
tiledDiffusion.LayoutGroup = class LayoutGroup extends tiledDiffusion.ToolGroup {
    #ratios;
    #commands;

    /** @param {Translate} t @param {tiledDiffusion.RegionCommands} commands */
    constructor(t, commands) {
        super(t);
        const title = t("Number of parts, or ratios such as 1,2,1"), name = t("Ratios");
        const attributes = {type: "text", value: "1,1", size: "6", class: "td-ratio", title, "aria-label": name};
        this.#ratios = tiledDiffusion.ui.el("input", attributes);
        this.#commands = commands;
        this.node = tiledDiffusion.ToolGroup.node(
            this.#ratios,
            this.button("▥", "Columns", () => commands.arrange("columns", this.#ratios.value)),
            this.button("▤", "Rows", () => commands.arrange("rows", this.#ratios.value)),
            this.button("▦", "Grid", () => commands.arrange("grid", this.#ratios.value)),
            this.button("✂", "Split the selected region into columns", () => this.split()),
            this.button("▨", "Fill the rest with a background", () => commands.fillRest()));
    }

    split() {
        this.#commands.split(this.#ratios.value);
    }
};

/** What is drawn where no region is; tiles, zoom and full screen. */
tiledDiffusion.ViewGroup = class ViewGroup extends tiledDiffusion.ToolGroup {
    /**
     * @param {RegionStore} store @param {Translate} t @param {Zoom} zoom
     * @param {HTMLElement} root what fills the screen @param {{toggle(): boolean}} tiles
     * @param {Notices} notices tells how many tiles there are
     */
    constructor(store, t, zoom, root, tiles, notices) {
        super(t);
        const shown = this.button("#", "Show the tiles of the plan", () => {
            shown.classList.toggle("td-on", tiles.toggle());
            notices.say("");
        });
        this.node = tiledDiffusion.ToolGroup.node(
            this.#fill(store), shown,
            this.button("+", "Zoom in", () => zoom.zoomBy(1.25)),
            this.button("−", "Zoom out", () => zoom.zoomBy(0.8)),
            this.button("1:1", "Whole canvas", () => zoom.whole()),
            this.button(t("full"), "Full screen", () => ViewGroup.#fullScreen(root)));
    }

    /** @param {RegionStore} store */
    #fill(store) {
        const {el} = tiledDiffusion.ui, {t} = this, title = t("What is drawn where no region is");
        const fill = el("select", {title, "aria-label": title},
            el("option", {value: "main"}, t("rest: main prompt")), el("option", {value: "none"}, t("rest: an error")));
        const dispatch = () => store.dispatch({type: "fill", value: /** @type {Fill} */ (fill.value)});
        this.on(fill, "change", dispatch);
        this.follow(store, state => { fill.value = state.fill; });
        return fill;
    }

    /** @param {HTMLElement} root */
    static #fullScreen(root) {
        if (document.fullscreenElement) document.exitFullscreen();
        else root.requestFullscreen?.();
    }
};

tiledDiffusion.Toolbar = class Toolbar extends tiledDiffusion.Part {
    /**
     * @param {RegionStore} store @param {EditorHost} host @param {tiledDiffusion.Canvas} canvas
     * @param {tiledDiffusion.RegionCommands} commands @param {Notices} notices
     * @param {HTMLElement} root what fills the screen
     */
    constructor(store, host, canvas, commands, notices, root) {
        super();
        const td = tiledDiffusion, t = host.translate, {stage, picture, tiles, shapes} = canvas;
        this.layouts = new td.LayoutGroup(t, commands);
        this.pictures = new td.PictureGroup(host, picture, notices);
        this.inserts = new td.RegionPictures(store, host, notices);
        const history = new td.HistoryGroup(store, t, stage);
        const view = new td.ViewGroup(store, t, stage, root, tiles, notices);
        const presets = new td.PresetButtons(store, host, notices), files = new td.FileButtons(store, host, notices);
        this.node = td.ui.el("div", {class: "td-bar", role: "toolbar", "aria-label": t("Tools")},
            td.ToolGroup.node(...shapes.nodes), history.node, this.layouts.node, this.inserts.node, this.pictures.node,
            td.ToolGroup.node(...presets.nodes, ...files.nodes), view.node,
            files.input, this.pictures.input, this.inserts.input);
        this.include(history, this.layouts, this.inserts, this.pictures, presets, files, view);
    }
};
