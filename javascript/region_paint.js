"use strict";
// How strongly a region counts at each point, as it will be blended; and drawing that. The only DOM are canvases.

tiledDiffusion.paint = (() => {
    const {clamp} = tiledDiffusion.box;
    /** The longer side of what is drawn, in pixels; and how many masks' pictures are kept. */
    const DETAIL = 128, MOST_PICTURES = 256;
    const HUES = [210, 30, 140, 330, 55, 270, 180, 0, 95, 240, 15, 165];

    /** The colour of the n-th region. @param {number} n @param {number} [alpha] */
    function colour(n, alpha = 1) {
        return `hsl(${HUES[n % HUES.length]} 75% ${n % 24 < 12 ? 52 : 38}% / ${alpha})`;
    }

    /** @type {Record<FeatherShape, (t: number) => number>} */
    const RISES = {smooth: t => 0.5 - 0.5 * Math.cos(Math.PI * t), linear: t => t, quadratic: t => t * t};

    /**
     * One axis of a background's soft edge: half inside, half outside, none at the canvas's border.
     * @param {number} at @param {number} begin @param {number} end @param {number} length
     * @param {number} feather all in the same unit @param {FeatherShape} shape
     */
    function ramps(at, begin, end, length, feather, shape) {
        const rise = (/** @type {number} */ p) =>
            feather < 1e-6 ? Number(p >= 0) : RISES[shape](clamp(p / feather + 0.5, 0, 1));
        return (begin < length * 1e-3 ? 1 : rise(at - begin)) * (end > length * (1 - 1e-3) ? 1 : rise(end - at));
    }

    /**
     * 0 to 1: how much of the region there is at a point, both in the units of a canvas of that size.
     * @param {Region} r @param {number} x @param {number} y @param {Size} size
     */
    function coverage(r, x, y, {width, height}) {
        const [bx, by, bw, bh] = [r.x * width, r.y * height, r.w * width, r.h * height];
        const feather = r.feather * Math.min(bw, bh), shape = r.feather_shape;
        if (r.layer === "background") {
            return ramps(x, bx, bx + bw, width, feather, shape) * ramps(y, by, by + bh, height, feather, shape);
        }
        const distance = Math.min(x - bx, bx + bw - x, y - by, by + bh - y);
        if (distance < 0) return 0;
        return feather < 1e-6 ? 1 : RISES[shape](Math.min(distance / (feather / 2), 1));
    }

    /**
     * Makes polygons a canvas context's path.
     * @param {CanvasRenderingContext2D} context @param {Polygon[]} polygons
     * @param {Box} box where 0 to 1 lies, in the context's units
     */
    function trace(context, polygons, box) {
        context.beginPath();
        for (const polygon of polygons) {
            polygon.forEach(([x, y], i) => context[i ? "lineTo" : "moveTo"](box.x + x * box.w, box.y + y * box.h));
            context.closePath();
        }
    }

    /** @type {Map<string, HTMLImageElement>} */
    const pictures = new Map();

    /** @param {string} base64 @param {() => void} loaded */
    function picture(base64, loaded) {
        let image = pictures.get(base64);
        if (!image) {
            image = new Image();
            image.onload = loaded;
            image.src = `data:image/png;base64,${base64}`;
            if (pictures.size >= MOST_PICTURES) pictures.clear();
            pictures.set(base64, image);
        }
        return image.complete && image.naturalWidth ? image : null;
    }

    /**
     * Draws all regions with their soft edges.
     * @param {HTMLCanvasElement} canvas @param {EditorRegion[]} regions @param {Size} size
     * @param {() => void} again called when a picture has been loaded
     */
    function draw(canvas, regions, size, again) {
        const scale = DETAIL / Math.max(size.width, size.height);
        const w = canvas.width = Math.max(8, Math.round(size.width * scale));
        const h = canvas.height = Math.max(8, Math.round(size.height * scale));
        const context = canvas.getContext("2d");
        if (!context) return;
        const ink = layer(w, h);
        const order = [...regions].sort((a, b) => Number(a.layer === "foreground") - Number(b.layer === "foreground"));
        for (const region of order) {
            if (region.hidden || !region.enabled) continue;
            ink.clearRect(0, 0, w, h);
            const box = {x: region.x * w, y: region.y * h, w: region.w * w, h: region.h * h};
            if (region.mask) shape(ink, region, region.mask, box, again);
            else ink.putImageData(soft(ink, region, w, h), 0, 0);
            tint(ink, colour(regions.indexOf(region), region.layer === "foreground" ? 0.6 : 0.4));
            context.drawImage(ink.canvas, 0, 0);
        }
    }

    /** A canvas of its own. @param {number} width @param {number} height */
    function layer(width, height) {
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [width, height];
        return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    }

    /** All that is painted takes a colour. @param {CanvasRenderingContext2D} ink @param {string} style */
    function tint(ink, style) {
        ink.globalCompositeOperation = "source-in";
        ink.fillStyle = style;
        ink.fillRect(0, 0, ink.canvas.width, ink.canvas.height);
        ink.globalCompositeOperation = "source-over";
    }

    /** @param {CanvasRenderingContext2D} ink @param {Region} region @param {number} w @param {number} h */
    function soft(ink, region, w, h) {
        const image = ink.createImageData(w, h);
        for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
            image.data[4 * (y * w + x) + 3] = 255 * coverage(region, x + 0.5, y + 0.5, {width: w, height: h});
        }
        return image;
    }

    /**
     * @param {CanvasRenderingContext2D} ink @param {Region} region @param {Mask} mask
     * @param {Box} box @param {() => void} again
     */
    function shape(ink, region, mask, box, again) {
        ink.filter = `blur(${(region.feather * Math.min(box.w, box.h) / 4).toFixed(2)}px)`;
        ink.fillStyle = "#fff";
        if ("polygons" in mask) {
            trace(ink, mask.polygons, box);
            ink.fill("evenodd");
        } else {
            const image = picture(mask.picture, again);
            if (image) ink.drawImage(alphaOf(image), box.x, box.y, box.w, box.h);
        }
        ink.filter = "none";
        if (region.layer === "foreground") inwards(ink);
    }

    /**
     * A foreground's soft edge lies inside its shape: twice the blurred shape, less one.
     * @param {CanvasRenderingContext2D} ink
     */
    function inwards(ink) {
        const image = ink.getImageData(0, 0, ink.canvas.width, ink.canvas.height);
        for (let i = 3; i < image.data.length; i += 4) image.data[i] = 2 * image.data[i] - 255;
        ink.putImageData(image, 0, 0);
    }

    /** White where the picture is white, transparent where it is black. @param {HTMLImageElement} image */
    function alphaOf(image) {
        const ink = layer(image.naturalWidth, image.naturalHeight), {width, height} = ink.canvas;
        ink.drawImage(image, 0, 0);
        const pixels = ink.getImageData(0, 0, width, height);
        for (let i = 0; i < pixels.data.length; i += 4) pixels.data[i + 3] = pixels.data[i];
        ink.putImageData(pixels, 0, 0);
        return ink.canvas;
    }

    return {colour, coverage, draw, trace, tint, layer, alphaOf};
})();
