"use strict";
// The tools that paint a region's free shape: a dragged rectangle or ellipse, a polygon of clicked corners, a brush.

/** What all of them have in common. */
tiledDiffusion.ShapeTool = class ShapeTool {
    covers = false;
    sized = false;
    /** Whether what is painted is cut out. @protected */
    out = false;
    /** @protected */
    sketch;
    /** @protected */
    easel;

    /** @param {tiledDiffusion.Sketch} sketch @param {Easel} easel */
    constructor(sketch, easel) {
        this.sketch = sketch;
        this.easel = easel;
    }

    redraw() {}

    doubleClick() {}

    /** @param {string} _ */
    key(_) {
        return false;
    }

    /** Paints all of the box where there is no shape yet from which something could be cut out. @protected */
    coverForCut() {
        if (!this.out || this.covers || this.easel.masked) return;
        this.sketch.cover();
        this.sketch.keep();
    }
};

/** Drags a shape that fills a box; a click takes all of the region's. @implements {ShapeTool} */
tiledDiffusion.BoxShapeTool = class BoxShapeTool extends tiledDiffusion.ShapeTool {
    /** In fractions of the region's box: a shorter drag is a click. */
    static #LEAST = 0.02;
    static #WHOLE = {x: 0, y: 0, w: 1, h: 1};
    /** Where the drag began, and is. @type {[Point, Point]} */
    #ends = [{x: 0, y: 0}, {x: 0, y: 0}];
    #outline;

    /**
     * @param {tiledDiffusion.Sketch} sketch @param {Easel} easel
     * @param {(box: Box) => Polygon} outline the shape that fills a box
     */
    constructor(sketch, easel, outline) {
        super(sketch, easel);
        this.#outline = outline;
    }

    /** @param {PointerEvent} event @param {Point} at */
    down(event, at) {
        this.out = event.altKey;
        this.coverForCut();
        this.#ends = [at, at];
        this.move(event, at);
        return true;
    }

    /** @param {PointerEvent} _ @param {Point} at */
    move(_, at) {
        this.#ends[1] = at;
        this.sketch.back();
        this.sketch.fill([this.#polygon()], this.out);
    }

    up() {
        if (this.out || this.easel.masked) this.easel.finish();
        else this.easel.save({polygons: [this.#polygon()]});
    }

    reset() {}

    #polygon() {
        const box = tiledDiffusion.box.between(...this.#ends), least = BoxShapeTool.#LEAST;
        return this.#outline(box.w < least && box.h < least ? BoxShapeTool.#WHOLE : box);
    }
};

/** Paints or erases along the pointer. @implements {ShapeTool} */
tiledDiffusion.BrushTool = class BrushTool extends tiledDiffusion.ShapeTool {
    sized = true;
    /** @type {Point | null} */
    #last = null;
    #erases;
    #size;

    /**
     * @param {tiledDiffusion.Sketch} sketch @param {Easel} easel
     * @param {boolean} erases always, not with Alt alone
     * @param {() => number} size in per cent of the sketch's longer side
     */
    constructor(sketch, easel, erases, size) {
        super(sketch, easel);
        this.covers = this.#erases = erases;
        this.#size = size;
    }

    /** @param {PointerEvent} event @param {Point} at */
    down(event, at) {
        this.out = this.#erases || event.altKey;
        this.coverForCut();
        this.#last = null;
        this.move(event, at);
        return true;
    }

    /** @param {PointerEvent} event @param {Point} at */
    move(event, at) {
        const pressure = event.pointerType === "pen" && event.pressure ? 0.5 + event.pressure : 1;
        const width = tiledDiffusion.Sketch.DETAIL * this.#size() / 100 * pressure;
        this.sketch.stroke(this.#last || at, at, width, this.out);
        this.#last = at;
    }

    up() {
        this.easel.finish();
    }

    reset() {
        this.#last = null;
    }
};

/** Clicks the corners of a polygon. @implements {ShapeTool} */
tiledDiffusion.PolygonTool = class PolygonTool extends tiledDiffusion.ShapeTool {
    /** How near the first corner a click closes, in parts of the sketch's longer side. */
    static #REACH = 0.04;
    static #LEAST_CORNERS = 3;
    /** @type {Point[]} */
    #corners = [];
    #leave;

    /**
     * @param {tiledDiffusion.Sketch} sketch @param {Easel} easel
     * @param {() => void} leave puts the tool away
     */
    constructor(sketch, easel, leave) {
        super(sketch, easel);
        this.#leave = leave;
    }

    /** With Alt at the first corner, what is drawn is cut out. @param {PointerEvent} event @param {Point} at */
    down(event, at) {
        const corner = PolygonTool.#inside(at), [first] = this.#corners;
        if (!first) this.out = event.altKey;
        const reach = tiledDiffusion.Sketch.DETAIL * PolygonTool.#REACH;
        const enough = this.#corners.length >= PolygonTool.#LEAST_CORNERS;
        if (enough && this.sketch.distance(corner, first) < reach) this.#close();
        else {
            this.#corners.push(corner);
            this.#draw();
        }
        return false;
    }

    move() {}

    up() {}

    reset() {
        this.#corners = [];
    }

    redraw() {
        if (this.#corners.length && !this.sketch.loading) this.#draw();
    }

    doubleClick() {
        this.#close();
    }

    /** @param {string} key */
    key(key) {
        if (key === "Enter") this.#close();
        else if (key === "Backspace") {
            this.#corners.pop();
            this.#draw();
        } else return false;
        return true;
    }

    #close() {
        const polygon = this.#polygon();
        this.reset();
        if (polygon.length >= PolygonTool.#LEAST_CORNERS) this.#finish(polygon);
        this.#leave();
    }

    /** @param {Polygon} polygon */
    #finish(polygon) {
        this.sketch.back();
        if (!this.out && !this.easel.masked) return this.easel.save({polygons: [polygon]});
        this.coverForCut();
        this.sketch.fill([polygon], this.out);
        this.easel.finish();
    }

    /** @returns {Polygon} */
    #polygon() {
        return this.#corners.map(({x, y}) => [x, y].map(tiledDiffusion.box.rounded));
    }

    #draw() {
        this.sketch.outline(this.#polygon());
    }

    /** The nearest point of the region's box. @param {Point} at @returns {Point} */
    static #inside({x, y}) {
        const {clamp} = tiledDiffusion.box;
        return {x: clamp(x, 0, 1), y: clamp(y, 0, 1)};
    }
};
