"use strict";
// The regions' boxes on the canvas.

tiledDiffusion.BoxLayer = class BoxLayer extends tiledDiffusion.Widget {
    static #FIRST_LAYER = 10;
    /** @type {Map<number, HTMLElement>} */
    #nodes = new Map();
    #store;
    #host;
    #stage;
    #above;

    /**
     * @param {RegionStore} store @param {Pick<EditorHost, "translate" | "size">} host
     * @param {Focusable & {readonly surface: HTMLElement}} stage
     * @param {Node} above what lies on the surface above boxes
     */
    constructor(store, host, stage, above) {
        super(host.translate);
        this.#store = store;
        this.#host = host;
        this.#stage = stage;
        this.#above = above;
        this.follow(store, () => this.render());
        this.on(stage.surface, "focusin", event => this.#focused(event));
    }

    /** The region whose box an event is in; 0 where it is in none. @param {Event} event */
    static idAt(event) {
        const node = /** @type {HTMLElement} */ (event.target);
        return Number(/** @type {HTMLElement | null} */ (node.closest(".td-box"))?.dataset.id || 0);
    }

    render() {
        const {regions, selected} = this.#store.state;
        this.#drop(new Set(regions.map(r => r.id)));
        regions.forEach((region, n) => this.#show(region, n, selected.includes(region.id)));
    }

    /** Shows a region's box elsewhere, until the next state is drawn. @param {number} id @param {Box} box */
    put(id, box) {
        const node = this.#nodes.get(id);
        if (node) tiledDiffusion.ui.put(node, box);
    }

    /** Takes boxes off the canvas. @param {Set<number>} ids of those that stay */
    #drop(ids) {
        for (const [id, node] of this.#nodes) {
            if (ids.has(id)) continue;
            if (tiledDiffusion.ui.hasFocus(node)) this.#stage.focus();
            node.remove();
            this.#nodes.delete(id);
        }
    }

    /** @param {EditorRegion} region @param {number} n its place @param {boolean} selected */
    #show(region, n, selected) {
        const node = this.#nodes.get(region.id) || this.#made(region.id), {put, title} = tiledDiffusion.ui;
        put(node, region);
        node.style.setProperty("--td-colour", tiledDiffusion.paint.colour(n));
        node.style.zIndex = String(BoxLayer.#FIRST_LAYER + n);
        node.hidden = region.hidden;
        node.classList.toggle("td-selected", selected);
        node.classList.toggle("td-foreground", region.layer === "foreground");
        node.classList.toggle("td-off", !region.enabled);
        node.children[0].textContent = title(region, n);
        BoxLayer.#picture(/** @type {HTMLImageElement} */ (node.children[1]), region);
        node.setAttribute("aria-label", `${this.t("Region")} ${title(region, n)}: ${this.#spoken(region)}`);
    }

    /** @param {number} id */
    #made(id) {
        const {el} = tiledDiffusion.ui;
        const handles = tiledDiffusion.box.HANDLES.map(h => el("i", {class: "td-handle", "data-handle": h}));
        const label = el("span", {class: "td-label"});
        const picture = el("img", {class: "td-inset", alt: "", hidden: true, draggable: "false"});
        const attributes = {class: "td-box", "data-id": id, tabindex: "0", role: "group"};
        const node = el("div", attributes, label, picture, ...handles);
        this.#nodes.set(id, node);
        this.#stage.surface.insertBefore(node, this.#above);
        return node;
    }

    /**
     * A region's picture in its box, where it is data; files are on another machine.
     * @param {HTMLImageElement} node @param {Region} region
     */
    static #picture(node, {picture, fit, flip}) {
        node.hidden = !picture?.startsWith("data:");
        if (!picture || node.hidden) return node.removeAttribute("src");
        if (node.src !== picture) node.src = picture;
        node.style.objectFit = fit === "stretch" ? "fill" : fit;
        node.style.transform = flip ? "scaleX(-1)" : "none";
    }

    /** Where a box is, in pixels of the picture. @param {Box} box */
    #spoken(box) {
        const {width, height} = this.#host.size();
        const [x, y, w, h] = [box.x * width, box.y * height, box.w * width, box.h * height].map(Math.round);
        return `${w} × ${h} px, ${x}, ${y}`;
    }

    /** A box that the Tab key comes to is selected. @param {FocusEvent} event */
    #focused(event) {
        const id = Number(/** @type {HTMLElement} */ (event.target).dataset.id);
        if (id && !this.#store.state.selected.includes(id)) this.#store.pick(id, false);
    }
};
