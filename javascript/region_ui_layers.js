"use strict";
// What lies on the canvas besides the boxes: the reference picture, soft edges, tiles, guides and the frame of a drag.

/** A picture below the regions. */
tiledDiffusion.ReferencePicture = class ReferencePicture extends tiledDiffusion.Part {
    /** A URL that was made for it, which is to be revoked. */
    #made = "";

    /** @param {string} [kind] a class of its own */
    constructor(kind = "td-reference") {
        super();
        const attributes = {class: kind, alt: "", hidden: true, draggable: "false"};
        this.node = tiledDiffusion.ui.el("img", attributes);
        this.during(() => () => this.hide());
    }

    /** @param {string} url @param {string} opacity 0 to 1 */
    show(url, opacity) {
        this.hide();
        this.node.src = url;
        this.node.hidden = false;
        this.fade(opacity);
    }

    /** @param {Blob} file @param {string} opacity 0 to 1 */
    showFile(file, opacity) {
        const url = URL.createObjectURL(file);
        this.show(url, opacity);
        this.#made = url;
    }

    hide() {
        if (this.#made) URL.revokeObjectURL(this.#made);
        this.#made = "";
        this.node.hidden = true;
        this.node.removeAttribute("src");
    }

    /** @param {string} opacity 0 to 1 */
    fade(opacity) {
        this.node.style.opacity = opacity;
    }
};

/** The regions with their soft edges, drawn once a frame at most. */
tiledDiffusion.SoftEdges = class SoftEdges extends tiledDiffusion.Part {
    #frame = 0;
    #store;
    #host;

    /** @param {RegionStore} store @param {Pick<EditorHost, "size">} host */
    constructor(store, host) {
        super();
        this.#store = store;
        this.#host = host;
        this.node = tiledDiffusion.ui.el("canvas", {class: "td-painted"});
        this.follow(store, () => this.later());
        this.during(() => () => {
            cancelAnimationFrame(this.#frame);
            this.#frame = 0;
        });
    }

    later() {
        if (this.#frame || !this.enabled) return;
        this.#frame = requestAnimationFrame(() => {
            this.#frame = 0;
            tiledDiffusion.paint.draw(this.node, this.#store.state.regions, this.#host.size(), () => this.later());
        });
    }
};

/** The plan's tiles, where they are shown. */
tiledDiffusion.TileLayer = class TileLayer {
    static #MOST = 600;
    #shown = false;
    /** @type {PlanFigures | null} */
    #plan = null;
    /** How many of them are drawn in the present step of a run. */
    #drawn = 0;

    constructor() {
        this.node = tiledDiffusion.ui.el("div", {class: "td-tiles"});
    }

    /** How many tiles the plan has; 0 where they are not shown. */
    get count() {
        return this.#shown && this.#plan ? this.#plan.tiles : 0;
    }

    /** Shows or hides them. Whether they are shown now. */
    toggle() {
        this.#shown = !this.#shown;
        this.#render();
        return this.#shown;
    }

    /** @param {PlanFigures} plan */
    follow(plan) {
        this.#plan = plan;
        this.#render();
    }

    /** Shows how far the present step of a run is; 0 for none. @param {number} drawn tiles */
    progress(drawn) {
        this.#drawn = drawn;
        this.#render();
    }

    #render() {
        const {el, put} = tiledDiffusion.ui, most = this.#shown ? TileLayer.#MOST : this.#drawn;
        const boxes = this.#plan ? this.#plan.boxes.slice(0, Math.min(most, TileLayer.#MOST)) : [];
        this.node.replaceChildren(...boxes.map((box, i) => {
            const words = box.words ? [el("span", {}, box.words)] : [];
            const node = el("i", {class: i < this.#drawn ? "td-tile td-drawn" : "td-tile"}, ...words);
            put(node, box);
            return node;
        }));
    }
};

/** What a drag shows: the lines that it snaps to, and the frame that it draws. */
tiledDiffusion.DragTraces = class DragTraces {
    constructor() {
        const {el} = tiledDiffusion.ui;
        this.guides = el("div", {class: "td-guides"});
        this.frame = el("div", {class: "td-rubber", hidden: true});
    }

    /** @param {Lines} lines */
    snapTo({x, y}) {
        const {el} = tiledDiffusion.ui;
        this.guides.replaceChildren(
            ...x.map(at => el("i", {class: "td-guide-x", style: `left:${at * 100}%`})),
            ...y.map(at => el("i", {class: "td-guide-y", style: `top:${at * 100}%`})));
    }

    /** @param {Box} box */
    outline(box) {
        this.frame.hidden = false;
        tiledDiffusion.ui.put(this.frame, box);
    }

    clear() {
        this.frame.hidden = true;
        this.guides.replaceChildren();
    }
};
