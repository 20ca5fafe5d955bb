"use strict";
// What can be done with regions by a button, a key or the menu. No DOM.

tiledDiffusion.RegionCommands = class RegionCommands {
    static #WHOLE = {x: 0, y: 0, w: 1, h: 1};
    static #NEW = {x: 0.35, y: 0.3, w: 0.3, h: 0.4};
    #store;
    #host;
    #notices;
    #prompt;

    /**
     * @param {RegionStore} store @param {Pick<EditorHost, "translate" | "size">} host @param {Notices} notices
     * @param {Focusable} prompt the field in which a new region's prompt is typed
     */
    constructor(store, host, notices, prompt) {
        this.#store = store;
        this.#host = host;
        this.#notices = notices;
        this.#prompt = prompt;
    }

    /** The one selected region, if it may be changed; says so where it is not. */
    needed() {
        const region = this.#store.single, t = this.#host.translate;
        if (!region) this.#notices.say(t("Select one region first"));
        else if (region.locked) this.#notices.say(t("The region is locked"));
        return region?.locked ? null : region;
    }

    /** Adds regions, and waits for the prompt. @param {Partial<Region>[]} regions */
    add(regions) {
        this.#notices.told(() => {
            this.#store.dispatch({type: "add", regions: regions.map(r => ({prompt: "", join: "append", ...r}))});
            this.#prompt.focus();
        });
    }

    addInTheMiddle() {
        this.add([RegionCommands.#NEW]);
    }

    /** To the prompt of the selected region. */
    write() {
        if (this.#store.single) this.#prompt.focus();
    }

    /** Fills the canvas with regions. @param {"columns" | "rows" | "grid"} how @param {string} ratios */
    arrange(how, ratios) {
        this.#notices.told(() => {
            const parts = tiledDiffusion.layout.ratios(ratios), {columns, rows, grid} = tiledDiffusion.layout;
            const whole = RegionCommands.#WHOLE;
            this.add(how === "grid" ? grid(whole, parts, parts) : (how === "rows" ? rows : columns)(whole, parts));
        });
    }

    /** Fills an empty canvas with columns, and waits for the prompt of the first of them. @param {string} ratios */
    begin(ratios) {
        this.arrange("columns", ratios);
        this.#store.dispatch({type: "select", ids: [this.#store.state.regions[0].id]});
        this.write();
    }

    /** The selected region becomes several of its kind, side by side, in one step. @param {string} ratios */
    split(ratios) {
        this.#notices.told(() => {
            const region = this.needed();
            if (!region) return;
            const parts = tiledDiffusion.layout.ratios(ratios);
            const boxes = tiledDiffusion.layout.columns(region, parts.length > 1 ? parts : [1, 1]);
            this.#store.dispatch({type: "split", id: region.id, boxes});
        });
    }

    fillRest() {
        const gap = tiledDiffusion.layout.largestGap(this.#store.state.regions.filter(r => r.enabled));
        const t = this.#host.translate;
        if (gap) this.add([gap]);
        else this.#notices.say(t("Nothing is left to fill"));
    }

    duplicate() {
        this.#notices.told(() => this.#store.dispatch({type: "duplicate"}));
    }

    selectAll() {
        this.#store.dispatch({type: "select", ids: this.#store.state.regions.map(r => r.id)});
    }

    selectNone() {
        this.#store.dispatch({type: "select", ids: []});
    }

    remove() {
        this.#store.dispatch({type: "remove"});
    }

    toFront() {
        this.#store.dispatch({type: "front"});
    }

    toBack() {
        this.#store.dispatch({type: "back"});
    }

    /** @param {"nudge" | "grow"} type @param {number} x @param {number} y in pixels of the picture */
    step(type, x, y) {
        const {width, height} = this.#host.size();
        this.#store.dispatch({type, dx: x / width, dy: y / height, merge: type});
    }

    undo() {
        this.#store.undo();
    }

    redo() {
        this.#store.redo();
    }
};
