"use strict";
// The line below the canvas: what was said last, and what the regions' boxes are short of.

/** @implements {Notices} */
tiledDiffusion.StatusLine = class StatusLine extends tiledDiffusion.Widget {
    /** Boxes below so many of the model's multiples are told of. */
    static #SMALL = 2;
    #words = "";
    #store;
    #host;
    #tiles;

    /**
     * @param {RegionStore} store @param {Pick<EditorHost, "translate" | "size" | "unit">} host
     * @param {{readonly count: number}} tiles those that are shown
     */
    constructor(store, host, tiles) {
        super(host.translate);
        this.#store = store;
        this.#host = host;
        this.#tiles = tiles;
        this.node = tiledDiffusion.ui.el("p", {class: "td-warning", role: "status"});
        this.follow(store, () => this.say(""));
    }

    /** @param {string} words */
    say(words) {
        this.#words = words;
        this.render();
    }

    /** @param {() => unknown} act */
    async told(act) {
        try {
            await act();
        } catch (error) {
            this.say(error instanceof Error ? error.message : String(error));
        }
    }

    render() {
        const {regions, fill} = this.#store.state, on = regions.filter(r => r.enabled);
        const small = this.#small(on).map(r => regions.indexOf(r) + 1);
        const open = on.length ? Math.round(100 * tiledDiffusion.layout.uncovered(on)) : 0;
        this.node.textContent = [this.#words, ...this.#remarks(small, open, fill)].filter(Boolean).join(" · ");
        this.node.classList.toggle("td-wrong", Boolean(this.#words || small.length || open && fill === "none"));
    }

    /** @param {EditorRegion[]} regions */
    #small(regions) {
        const {width, height} = this.#host.size(), least = StatusLine.#SMALL * this.#host.unit();
        return regions.filter(r => r.w * width < least || r.h * height < least);
    }

    /** @param {number[]} small @param {number} open per cent @param {Fill} fill @returns {string[]} */
    #remarks(small, open, fill) {
        const t = this.t, tiles = this.#tiles.count;
        const left = t(fill === "none" ? "of the canvas is in no region" : "of the canvas is left to the main prompt");
        return [
            small.length ? `${t("Very small for this model:")} ${small.join(", ")}` : "",
            open ? `${open} % ${left}` : "",
            tiles ? `${tiles} ${t("tiles")}` : "",
        ];
    }
};
