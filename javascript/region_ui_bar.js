"use strict";
// The editor's toolbar, and its groups for undo, layouts and the view. What is needed less often is in menus.

/** A group of the toolbar. */
tiledDiffusion.ToolGroup = class ToolGroup extends tiledDiffusion.Widget {
    /** @param {...Node} nodes */
    static node(...nodes) {
        return tiledDiffusion.ui.el("span", {class: "td-group"}, ...nodes);
    }
};

/** A button of the toolbar with more of them below, while it is open. */
tiledDiffusion.ToolMenu = class ToolMenu extends tiledDiffusion.Widget {
    /**
     * @param {Translate} t @param {string} sign its icon @param {string} hint what is in it @param {Node[]} lines
     */
    constructor(t, sign, hint, lines) {
        super(t);
        const {el} = tiledDiffusion.ui, words = t(hint);
        const summary = el("summary", {title: words, "aria-label": words}, tiledDiffusion.icons.icon(sign));
        this.node = el("details", {class: "td-drop"}, summary, el("div", {class: "td-drop-body"}, ...lines));
        this.on(document, "pointerdown", event => {
            if (!event.composedPath().includes(this.node)) this.node.open = false;
        });
        this.on(this.node, "keydown", event => {
            if (event.key !== "Escape" || !this.node.open) return;
            this.node.open = false;
            summary.focus();
            event.stopPropagation();
        });
    }

    /** @param {...Node} nodes */
    static line(...nodes) {
        return tiledDiffusion.ui.el("div", {class: "td-line"}, ...nodes);
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
        const {icon} = tiledDiffusion.icons;
        const undo = this.button(icon("undo"), "Undo (Ctrl+Z)", () => store.undo());
        const redo = this.button(icon("redo"), "Redo (Ctrl+Shift+Z)", () => store.redo());
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
    /** @type {[sign: string, how: "columns" | "rows" | "grid", ratios: string, hint: string][]} */
    static #PICTURES = [
        ["columns", "columns", "1,1", "Two columns"], ["columns3", "columns", "1,1,1", "Three columns"],
        ["middle", "columns", "1,2,1", "A wide middle"], ["rows", "rows", "1,1", "Two rows"],
        ["rows3", "rows", "1,1,1", "Three rows"], ["grid", "grid", "1,1", "Two by two"],
    ];
    #ratios;
    #commands;

    /** @param {Translate} t @param {tiledDiffusion.RegionCommands} commands */
    constructor(t, commands) {
        super(t);
        const {icon} = tiledDiffusion.icons, {line} = tiledDiffusion.ToolMenu;
        const title = t("Number of parts, or ratios such as 1,2,1"), name = t("Ratios");
        const attributes = {type: "text", value: "1,1", size: "6", class: "td-ratio", title, "aria-label": name};
        this.#ratios = tiledDiffusion.ui.el("input", attributes);
        this.#commands = commands;
        const pictures = LayoutGroup.#PICTURES.map(([sign, how, ratios, hint]) =>
            this.button(icon(sign), hint, () => commands.arrange(how, ratios)));
        const menu = this.menu = new tiledDiffusion.ToolMenu(t, "columns3", "Layouts", [
            line(...pictures),
            line(this.#ratios, ...this.#byRatios()),
        ]);
        this.node = tiledDiffusion.ToolGroup.node(
            menu.node,
            this.button(icon("split"), "Split the selected region into columns", () => this.split()),
            this.button(icon("fill"), "Fill the rest with a background", () => commands.fillRest()));
        this.include(menu);
    }

    #byRatios() {
        const {icon} = tiledDiffusion.icons, commands = this.#commands;
        return [
            this.button(icon("columns"), "Columns", () => commands.arrange("columns", this.#ratios.value)),
            this.button(icon("rows"), "Rows", () => commands.arrange("rows", this.#ratios.value)),
            this.button(icon("grid"), "Grid", () => commands.arrange("grid", this.#ratios.value)),
        ];
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
        const {icon} = tiledDiffusion.icons;
        const shown = this.button(icon("tiles"), "Show the tiles of the plan", () => {
            shown.classList.toggle("td-on", tiles.toggle());
            notices.say("");
        });
        this.node = tiledDiffusion.ToolGroup.node(
            shown,
            this.button(icon("closer"), "Zoom in (+)", () => zoom.zoomBy(1.25)),
            this.button(icon("away"), "Zoom out (−)", () => zoom.zoomBy(0.8)),
            this.button(icon("fit"), "Whole canvas (0)", () => zoom.whole()),
            this.button(icon("full"), "Full screen", () => ViewGroup.#fullScreen(root)));
        this.rest = this.#fill(store);
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
        this.pictures = new td.PictureMenu(host, picture, notices);
        this.inserts = new td.RegionPictures(store, host, notices);
        const history = new td.HistoryGroup(store, t, stage);
        const view = new td.ViewGroup(store, t, stage, root, tiles, notices);
        const presets = new td.PresetButtons(store, host, notices), files = new td.FileButtons(store, host, notices);
        const {line} = td.ToolMenu;
        const kept = new td.ToolMenu(t, "kept", "Presets and files, and what is drawn where no region is", [
            line(...presets.nodes), line(...files.nodes), line(view.rest)]);
        this.node = td.ui.el("div", {class: "td-bar", role: "toolbar", "aria-label": t("Tools")},
            td.ToolGroup.node(...shapes.nodes), history.node, this.layouts.node,
            td.ToolGroup.node(...this.inserts.nodes, this.pictures.menu.node), view.node, td.ToolGroup.node(kept.node),
            files.input, this.pictures.input, this.inserts.input);
        this.include(history, this.layouts, this.inserts, this.pictures, presets, files, view, kept);
    }
};
