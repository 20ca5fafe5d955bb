"use strict";
// Free shapes: from painted pixels to polygons, and plain ones. No DOM.

tiledDiffusion.mask = (() => {
    const {rounded, clamp} = tiledDiffusion.box;
    const {MOST_POLYGONS, MOST_POINTS} = tiledDiffusion.data;
    /** In pixels of the sketch: smaller outlines are dropped. */
    const LEAST_AREA = 6;
    /** How far an outline may be from the painted edge, in pixels of the sketch: the first that leaves few points. */
    const TOLERANCES = [1, 2, 4];

    /** An ellipse that fills a box, in fractions. @param {Box} box @returns {Polygon} */
    function ellipse(box) {
        const turn = Array.from({length: 48}, (_, i) => i * Math.PI / 24);
        return turn.map(a => {
            const x = box.x + box.w * (0.5 + 0.5 * Math.cos(a)), y = box.y + box.h * (0.5 + 0.5 * Math.sin(a));
            return [x, y].map(fraction);
        });
    }

    /** @param {Box} box @returns {Polygon} */
    function rectangle(box) {
        const [x, y] = [box.x + box.w, box.y + box.h];
        return [[box.x, box.y], [x, box.y], [x, y], [box.x, y]].map(point => point.map(fraction));
    }

    /** @param {number} value */
    function fraction(value) {
        return clamp(rounded(value), 0, 1);
    }

    /**
     * Sides between painted and other pixels. Corners of pixels are numbered row by row.
     * @param {ArrayLike<unknown>} inside @param {number} width @param {number} height
     * @returns {Map<number, number[]>} of a corner, those that lie one side further on
     */
    function sides(inside, width, height) {
        const stride = width + 1;
        /** @type {Map<number, number[]>} */
        const ends = new Map();
        const painted = (/** @type {number} */ x, /** @type {number} */ y) =>
            x >= 0 && y >= 0 && x < width && y < height && inside[y * width + x];
        const side = (/** @type {number} */ from, /** @type {number} */ to) => {
            const list = ends.get(from);
            if (list) list.push(to);
            else ends.set(from, [to]);
        };
        for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
            if (!painted(x, y)) continue;
            const corner = y * stride + x;
            if (!painted(x, y - 1)) side(corner, corner + 1);
            if (!painted(x + 1, y)) side(corner + 1, corner + 1 + stride);
            if (!painted(x, y + 1)) side(corner + 1 + stride, corner + stride);
            if (!painted(x - 1, y)) side(corner + stride, corner);
        }
        return ends;
    }

    /**
     * Every corner has as many sides that begin there as end there, so that each walk comes back.
     * @param {Map<number, number[]>} ends @returns {number[][]}
     */
    function loops(ends) {
        /** @type {number[][]} */
        const closed = [];
        for (const [start, list] of ends) while (list.length) {
            const loop = [];
            let at = start;
            do {
                loop.push(at);
                at = /** @type {number} */ (/** @type {number[]} */ (ends.get(at)).pop());
            } while (at !== start);
            closed.push(loop);
        }
        return closed;
    }

    /**
     * The outlines of all painted pixels: closed, along the pixels' sides; the even-odd rule fills them as they were.
     * @param {ArrayLike<unknown>} inside truthy where it is painted, row by row
     * @param {number} width @param {number} height
     * @returns {Polygon[]}
     */
    function outlines(inside, width, height) {
        const stride = width + 1, corners = loops(sides(inside, width, height));
        return corners.map(loop => loop.map(corner => [corner % stride, Math.floor(corner / stride)]));
    }

    /**
     * A closed outline with fewer points, nowhere further away than the tolerance (Douglas and Peucker 1973).
     * @param {Polygon} points @param {number} tolerance @returns {Polygon}
     */
    function simplified(points, tolerance) {
        if (points.length < 4) return points;
        const far = furthest(points, points[0], points[0]).index;
        const first = line(points.slice(0, far + 1), tolerance);
        const second = line([...points.slice(far), points[0]], tolerance);
        return [...first.slice(0, -1), ...second.slice(0, -1)];
    }

    /** @param {Polygon} points @param {number} tolerance @returns {Polygon} */
    function line(points, tolerance) {
        const [first, last] = [points[0], points[points.length - 1]];
        const {index, distance} = furthest(points, first, last);
        if (points.length < 3 || distance <= tolerance) return [first, last];
        return [...line(points.slice(0, index + 1), tolerance).slice(0, -1), ...line(points.slice(index), tolerance)];
    }

    /**
     * The point that is furthest from the stretch between two.
     * @param {Polygon} points @param {number[]} a @param {number[]} b
     */
    function furthest(points, a, b) {
        const [dx, dy] = [b[0] - a[0], b[1] - a[1]], length = dx * dx + dy * dy;
        let index = 0, distance = -1;
        points.forEach(([x, y], i) => {
            const t = length ? clamp(((x - a[0]) * dx + (y - a[1]) * dy) / length, 0, 1) : 0;
            const d = Math.hypot(x - a[0] - t * dx, y - a[1] - t * dy);
            if (d > distance) [index, distance] = [i, d];
        });
        return {index, distance};
    }

    /** @param {Polygon} points */
    function area(points) {
        return Math.abs(points.reduce((sum, [x, y], i) => {
            const [u, v] = points[(i + 1) % points.length];
            return sum + x * v - u * y;
        }, 0)) / 2;
    }

    /**
     * Painted pixels as polygons in fractions; none where nothing is painted, null where it is too ragged for polygons.
     * @param {ArrayLike<unknown>} inside @param {number} width @param {number} height @returns {Polygon[] | null}
     */
    function polygonsOf(inside, width, height) {
        const all = outlines(inside, width, height);
        for (const tolerance of TOLERANCES) {
            const few = all.map(outline => simplified(outline, tolerance));
            const polygons = few.filter(p => p.length > 2 && area(p) >= LEAST_AREA);
            if (polygons.length <= MOST_POLYGONS && polygons.flat().length <= MOST_POINTS) {
                return polygons.map(polygon => polygon.map(([x, y]) => [fraction(x / width), fraction(y / height)]));
            }
        }
        return null;
    }

    return {ellipse, rectangle, outlines, simplified, polygonsOf};
})();
