"use strict";
// The sketch over a region's box on which its free shape is painted, and what was painted as a shape again.

tiledDiffusion.Sketch = class Sketch extends tiledDiffusion.Part {
    /** Pixels of its longer side. */
    static DETAIL = 256;
    static #LEAST_SIDE = 8;
    static #CORNER_PX = 6;
    static #LINE_PX = 2;
    /** What was painted before the drag of now. */
    #below = document.createElement("canvas");
    /** The picture that is being loaded. @type {HTMLImageElement | null} */
    #loading = null;
    #colour;

    /** @param {() => string} colour of the region */
    constructor(colour) {
        super();
        this.#colour = colour;
        this.node = tiledDiffusion.ui.el("canvas", {class: "td-sketch", hidden: true});
        this.during(() => () => { this.#loading = null; });
    }

    /** Whether the shape is not there yet. */
    get loading() {
        return this.#loading !== null;
    }

    get #ink() {
        return /** @type {CanvasRenderingContext2D} */ (this.node.getContext("2d", {willReadFrequently: true}));
    }

    /**
     * Lays the sketch over a region's box and paints the shape that there is.
     * @param {Region} region @param {Size} size of the picture @param {boolean} covered where there is no shape yet
     * @param {() => void} loaded called when the shape had to be loaded, and is there
     */
    begin(region, {width, height}, covered, loaded) {
        const scale = Sketch.DETAIL / Math.max(region.w * width, region.h * height);
        this.node.width = Math.max(Sketch.#LEAST_SIDE, Math.round(region.w * width * scale));
        this.node.height = Math.max(Sketch.#LEAST_SIDE, Math.round(region.h * height * scale));
        tiledDiffusion.ui.put(this.node, region);
        this.#loading = null;
        if (region.mask && "polygons" in region.mask) this.fill(region.mask.polygons, false);
        else if (region.mask) this.#load(region.mask.picture, loaded);
        else if (covered) this.cover();
        this.keep();
    }

    /** @param {string} base64 @param {() => void} loaded */
    #load(base64, loaded) {
        const image = this.#loading = new Image();
        image.onload = () => {
            if (image !== this.#loading) return;
            this.#loading = null;
            const ink = this.#ink;
            ink.drawImage(tiledDiffusion.paint.alphaOf(image), 0, 0, this.node.width, this.node.height);
            tiledDiffusion.paint.tint(ink, this.#colour());
            this.keep();
            loaded();
        };
        image.src = `data:image/png;base64,${base64}`;
    }

    /** Remembers what is painted, so that what is dragged can be drawn over it anew. */
    keep() {
        [this.#below.width, this.#below.height] = [this.node.width, this.node.height];
        this.#below.getContext("2d")?.drawImage(this.node, 0, 0);
    }

    /** Takes back what was painted since. */
    back() {
        const ink = this.#ink;
        ink.globalCompositeOperation = "source-over";
        ink.clearRect(0, 0, this.node.width, this.node.height);
        ink.drawImage(this.#below, 0, 0);
    }

    /** Paints all of the box. */
    cover() {
        const ink = this.#ink;
        ink.globalCompositeOperation = "source-over";
        ink.fillStyle = this.#colour();
        ink.fillRect(0, 0, this.node.width, this.node.height);
    }

    /** @param {Polygon[]} polygons in fractions @param {boolean} out cuts them out */
    fill(polygons, out) {
        const ink = this.#ink;
        ink.globalCompositeOperation = out ? "destination-out" : "source-over";
        ink.fillStyle = this.#colour();
        this.#trace(polygons);
        ink.fill("evenodd");
    }

    /** @param {Point} from in fractions @param {Point} to @param {number} width in its pixels @param {boolean} out */
    stroke(from, to, width, out) {
        const ink = this.#ink, [w, h] = [this.node.width, this.node.height];
        ink.globalCompositeOperation = out ? "destination-out" : "source-over";
        ink.strokeStyle = this.#colour();
        ink.lineCap = "round";
        ink.lineWidth = width;
        ink.beginPath();
        ink.moveTo(from.x * w, from.y * h);
        ink.lineTo(to.x * w, to.y * h);
        ink.stroke();
    }

    /** An unfinished polygon, over what was painted before. @param {Polygon} corners in fractions */
    outline(corners) {
        const ink = this.#ink, colour = this.#colour(), side = Sketch.#CORNER_PX;
        this.back();
        this.#trace([corners]);
        [ink.fillStyle, ink.strokeStyle, ink.lineWidth] = [colour, colour, Sketch.#LINE_PX];
        ink.stroke();
        for (const [x, y] of corners) {
            ink.fillRect(x * this.node.width - side / 2, y * this.node.height - side / 2, side, side);
        }
    }

    /** How far two points are from each other, in its pixels. @param {Point} a in fractions @param {Point} b */
    distance(a, b) {
        return Math.hypot((a.x - b.x) * this.node.width, (a.y - b.y) * this.node.height);
    }

    /**
     * What is painted: polygons, or a picture where it is too ragged for them; null where nothing is.
     * @returns {Mask | null}
     */
    shape() {
        const {data, width, height} = this.#ink.getImageData(0, 0, this.node.width, this.node.height);
        const inside = Uint8Array.from({length: width * height}, (_, i) => Number(data[4 * i + 3] > 127));
        const polygons = tiledDiffusion.mask.polygonsOf(inside, width, height);
        if (!polygons) return {picture: this.#picture()};
        return polygons.length ? {polygons} : null;
    }

    /** White on black, as PNG in base64. */
    #picture() {
        const {layer, tint} = tiledDiffusion.paint, ink = layer(this.node.width, this.node.height);
        ink.drawImage(this.node, 0, 0);
        tint(ink, "#fff");
        ink.globalCompositeOperation = "destination-over";
        ink.fillStyle = "#000";
        ink.fillRect(0, 0, ink.canvas.width, ink.canvas.height);
        return ink.canvas.toDataURL("image/png").split(",")[1];
    }

    /** @param {Polygon[]} polygons */
    #trace(polygons) {
        tiledDiffusion.paint.trace(this.#ink, polygons, {x: 0, y: 0, w: this.node.width, h: this.node.height});
    }
};
