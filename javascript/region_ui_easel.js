"use strict";
// The selected region's free shape on its sketch, and the sketch as the region's shape again.

/** @implements {Easel} */
tiledDiffusion.ShapeEasel = class ShapeEasel extends tiledDiffusion.Widget {
    /** The region whose shape and box the sketch shows. @type {EditorRegion | null} */
    #shown = null;
    #store;
    #host;
    #notices;

    /** @param {RegionStore} store @param {Pick<EditorHost, "translate" | "size">} host @param {Notices} notices */
    constructor(store, host, notices) {
        super(host.translate);
        this.#store = store;
        this.#host = host;
        this.#notices = notices;
        this.sketch = new tiledDiffusion.Sketch(() => this.#colour);
        this.include(this.sketch);
    }

    get masked() {
        return Boolean(this.#store.single?.mask);
    }

    /** Whether the sketch is of another region than the selected one. */
    get foreign() {
        return this.#shown?.id !== this.#store.single?.id;
    }

    /** Whether the sketch shows the selected region as it is. */
    get current() {
        const shown = this.#shown, region = this.#store.single;
        if (!shown || !region || shown.id !== region.id || shown.mask !== region.mask) return false;
        return shown.x === region.x && shown.y === region.y && shown.w === region.w && shown.h === region.h;
    }

    /**
     * Puts the selected region's shape on the sketch.
     * @param {boolean} covered where there is no shape yet @param {() => void} loaded called when it had to be loaded
     */
    begin(covered, loaded) {
        const region = this.#store.single;
        if (!region) return;
        this.#shown = region;
        this.sketch.begin(region, this.#host.size(), covered, loaded);
    }

    finish() {
        const mask = this.sketch.shape();
        if (mask) return this.save(mask);
        this.sketch.back();
        this.#notices.say(this.t("Nothing would be left of the shape"));
    }

    /** @param {Mask} mask */
    save(mask) {
        const shown = this.#shown;
        if (!shown) return;
        this.sketch.keep();
        this.#shown = {...shown, mask};
        this.#notices.told(() => this.#store.dispatch({type: "edit", ids: [shown.id], fields: {mask}}));
    }

    /** The region's. */
    get #colour() {
        const {regions} = this.#store.state, id = this.#store.single?.id;
        return tiledDiffusion.paint.colour(regions.findIndex(r => r.id === id));
    }
};
