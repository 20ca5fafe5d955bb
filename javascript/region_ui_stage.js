"use strict";
// Where the canvas is on the page: its size, zoom and panning; and from the page's points to the canvas's.

/** @implements {Zoom} @implements {ToolStage} */
tiledDiffusion.Stage = class Stage extends tiledDiffusion.Widget {
    static #MOST_ZOOM = 12;
    /** What else is on the screen when the editor fills it. */
    static #MARGIN_PX = 140;
    static #WHEEL = {closer: 1.1, away: 0.9};
    #zoom = 1;
    #pan = {x: 0, y: 0};
    /** Of the surface, in pixels of the page; 0 before it has been placed. */
    #width = 0;
    #root;
    #host;

    /**
     * @param {HTMLElement} root what may fill the screen
     * @param {Pick<EditorHost, "translate" | "size" | "height">} host
     */
    constructor(root, host) {
        super(host.translate);
        const {el} = tiledDiffusion.ui;
        this.#root = root;
        this.#host = host;
        this.surface = el("div", {class: "td-surface"});
        const attributes = {tabindex: "0", role: "application", "aria-label": this.t("Region canvas")};
        this.node = el("div", {class: "td-stage", ...attributes}, this.surface);
        this.on(this.node, "wheel", event => this.#wheel(event), {passive: false});
        this.on(document, "fullscreenchange", () => this.place());
        this.during(() => {
            const watcher = new ResizeObserver(() => this.place());
            watcher.observe(this.node);
            this.place();
            return () => watcher.disconnect();
        });
    }

    /** Where the picture is on the page. */
    get rect() {
        return this.surface.getBoundingClientRect();
    }

    /** How far it is moved, in pixels of the page. */
    get pan() {
        return this.#pan;
    }

    /** Where an event is, in fractions of the canvas. @param {MouseEvent} event @returns {Point} */
    point(event) {
        const {left, top, width, height} = this.rect;
        return {x: (event.clientX - left) / width, y: (event.clientY - top) / height};
    }

    focus() {
        this.node.focus({preventScroll: true});
    }

    /** Shows which tool is in hand. @param {string} tool */
    hold(tool) {
        this.node.dataset.tool = tool;
    }

    place() {
        const {width, height} = this.#host.size(), {style} = this.surface;
        const full = document.fullscreenElement === this.#root;
        const most = full ? window.innerHeight - Stage.#MARGIN_PX : this.#host.height();
        const scale = Math.min((this.node.clientWidth || 400) / width, most / height);
        this.node.style.height = style.height = `${Math.round(height * scale)}px`;
        style.width = `${Math.round(width * scale)}px`;
        const grown = this.#width ? width * scale / this.#width : 1;
        this.#width = width * scale;
        this.#pan = {x: this.#pan.x * grown, y: this.#pan.y * grown};
        style.transform = `translate(${this.#pan.x}px, ${this.#pan.y}px) scale(${this.#zoom})`;
        style.setProperty("--td-zoom", String(1 / this.#zoom));
    }

    /** Zooms; the point of the page given stays where it is. @param {number} factor @param {Point} [at] */
    zoomBy(factor, at) {
        const {left, top} = this.rect, s = this.node.getBoundingClientRect();
        const fixed = at || {x: s.left + s.width / 2, y: s.top + s.height / 2};
        const before = this.#zoom;
        this.#zoom = tiledDiffusion.box.clamp(before * factor, 1, Stage.#MOST_ZOOM);
        const grown = this.#zoom / before - 1;
        this.panTo(this.#pan.x - (fixed.x - left) * grown, this.#pan.y - (fixed.y - top) * grown);
    }

    /** @param {number} x @param {number} y */
    panTo(x, y) {
        const {node, surface} = this, {clamp} = tiledDiffusion.box;
        const margin = (node.clientWidth - surface.offsetWidth) / 2;
        const low = margin - (this.#zoom * surface.offsetWidth - node.clientWidth) - 2 * margin;
        const bottom = node.clientHeight - this.#zoom * surface.offsetHeight;
        this.#pan = this.#zoom === 1 ? {x: 0, y: 0} : {
            x: clamp(x, Math.min(low, -margin), Math.max(-margin, low)), y: clamp(y, Math.min(bottom, 0), 0),
        };
        this.place();
    }

    whole() {
        this.#zoom = 1;
        this.panTo(0, 0);
    }

    /** @param {WheelEvent} event */
    #wheel(event) {
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        const {closer, away} = Stage.#WHEEL;
        this.zoomBy(event.deltaY < 0 ? closer : away, {x: event.clientX, y: event.clientY});
    }
};
