"use strict";
// Geometry of boxes on the canvas, in fractions of it: no DOM, no state.

tiledDiffusion.box = (() => {
    const LEAST = 0.01;
    /** @type {Handle[]} */
    const HANDLES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];

    /** @param {number} value @param {number} low @param {number} high */
    function clamp(value, low, high) {
        return Math.min(Math.max(value, low), high);
    }

    /** To four digits, as it is stored. @param {number} value */
    function rounded(value) {
        return Math.round(value * 10000) / 10000;
    }

    /** The box as it is stored: within the canvas, four digits. @param {Box} box @returns {Box} */
    function stored(box) {
        const w = rounded(clamp(box.w, LEAST, 1)), h = rounded(clamp(box.h, LEAST, 1));
        return {x: rounded(clamp(box.x, 0, 1 - w)), y: rounded(clamp(box.y, 0, 1 - h)), w, h};
    }

    /** Moved, and kept inside. @param {Box} box @param {number} dx @param {number} dy @returns {Box} */
    function moved(box, dx, dy) {
        return {...box, x: clamp(box.x + dx, 0, 1 - box.w), y: clamp(box.y + dy, 0, 1 - box.h)};
    }

    /**
     * One axis of a resize: the dragged edge goes with the pointer, the other one stays.
     * @param {number} start @param {number} size @param {number} offset
     * @param {-1 | 0 | 1} side -1 the first edge, 1 the last one
     * @param {boolean} centre both edges move
     * @returns {[number, number]} start and size
     */
    function axis(start, size, offset, side, centre) {
        if (!side) return [start, size];
        const middle = start + size / 2;
        if (centre) {
            const half = clamp(size / 2 + side * offset, LEAST / 2, Math.min(middle, 1 - middle));
            return [middle - half, 2 * half];
        }
        if (side > 0) return [start, clamp(size + offset, LEAST, 1 - start)];
        const end = start + size;
        const first = clamp(start + offset, 0, end - LEAST);
        return [first, end - first];
    }

    /**
     * The box after a drag of a handle by an offset, always computed from the box at the drag's start.
     * @param {Box} box @param {Handle} handle @param {number} dx @param {number} dy
     * @param {{ratio?: number | null, centre?: boolean}} [options] ratio: width / height in fractions that is kept
     * @returns {Box}
     */
    function dragged(box, handle, dx, dy, options = {}) {
        if (handle === "move") return moved(box, dx, dy);
        const sideX = handle.includes("e") ? 1 : handle.includes("w") ? -1 : 0;
        const sideY = handle.includes("s") ? 1 : handle.includes("n") ? -1 : 0;
        const [x, w] = axis(box.x, box.w, dx, sideX, Boolean(options.centre));
        const [y, h] = axis(box.y, box.h, dy, sideY, Boolean(options.centre));
        const free = {x, y, w, h};
        return options.ratio ? proportional(box, free, sideX, sideY, options.ratio, Boolean(options.centre)) : free;
    }

    /**
     * The largest box within a resized one that has a ratio, held at the edge or middle that stays.
     * @param {Box} box @param {Box} free @param {number} sideX @param {number} sideY @param {number} ratio
     * @param {boolean} centre @returns {Box}
     */
    function proportional(box, free, sideX, sideY, ratio, centre) {
        const byWidth = sideX && (!sideY || free.w / box.w > free.h / box.h);
        let w = byWidth ? free.w : free.h * ratio;
        let h = w / ratio;
        const anchorX = sideX && !centre ? (sideX > 0 ? box.x : box.x + box.w) : box.x + box.w / 2;
        const anchorY = sideY && !centre ? (sideY > 0 ? box.y : box.y + box.h) : box.y + box.h / 2;
        const roomX = room(anchorX, sideX, centre), roomY = room(anchorY, sideY, centre);
        const shrink = Math.min(1, roomX / w, roomY / h);
        [w, h] = [w * shrink, h * shrink];
        return {x: placed(anchorX, w, sideX, centre), y: placed(anchorY, h, sideY, centre), w, h};
    }

    /** @param {number} anchor @param {number} side @param {boolean} centre */
    function room(anchor, side, centre) {
        if (centre || !side) return 2 * Math.min(anchor, 1 - anchor);
        return side > 0 ? 1 - anchor : anchor;
    }

    /** @param {number} anchor @param {number} size @param {number} side @param {boolean} centre */
    function placed(anchor, size, side, centre) {
        if (centre || !side) return anchor - size / 2;
        return side > 0 ? anchor : anchor - size;
    }

    /** The box between two points. @param {Point} a @param {Point} b @returns {Box} */
    function between(a, b) {
        const [x0, x1] = [clamp(Math.min(a.x, b.x), 0, 1), clamp(Math.max(a.x, b.x), 0, 1)];
        const [y0, y1] = [clamp(Math.min(a.y, b.y), 0, 1), clamp(Math.max(a.y, b.y), 0, 1)];
        return {x: x0, y: y0, w: x1 - x0, h: y1 - y0};
    }

    /** The box around all. @param {Box[]} boxes @returns {Box} */
    function around(boxes) {
        const x = Math.min(...boxes.map(b => b.x)), y = Math.min(...boxes.map(b => b.y));
        return {x, y, w: Math.max(...boxes.map(b => b.x + b.w)) - x, h: Math.max(...boxes.map(b => b.y + b.h)) - y};
    }

    /** @param {Box} box @param {Point} point */
    function contains(box, point) {
        return point.x >= box.x && point.x <= box.x + box.w && point.y >= box.y && point.y <= box.y + box.h;
    }

    /**
     * Lines that edges snap to: the canvas's edges and thirds, other boxes' edges and middles.
     * @param {Box[]} others
     * @returns {Lines}
     */
    function snapLines(others) {
        const fixed = [0, 1 / 3, 1 / 2, 2 / 3, 1];
        return {
            x: [...fixed, ...others.flatMap(b => [b.x, b.x + b.w / 2, b.x + b.w])],
            y: [...fixed, ...others.flatMap(b => [b.y, b.y + b.h / 2, b.y + b.h])],
        };
    }

    /**
     * The nearest line within reach of one of several edges.
     * @param {number[]} edges @param {number[]} lines @param {number} reach
     * @returns {{by: number, line: number} | null} how far to go
     */
    function nearest(edges, lines, reach) {
        /** @type {{by: number, line: number} | null} */
        let best = null;
        for (const line of lines) {
            for (const edge of edges) {
                const by = line - edge;
                if (Math.abs(by) <= reach && (!best || Math.abs(by) < Math.abs(best.by))) best = {by, line};
            }
        }
        return best;
    }

    /**
     * The nearest multiple of a unit within reach of one of several edges.
     * @param {number[]} edges @param {number} unit 0: there is none @param {number} reach
     * @returns {{by: number, line: number} | null}
     */
    function nearestMultiple(edges, unit, reach) {
        if (!(unit > 0)) return null;
        return nearest(edges, edges.map(edge => clamp(Math.round(edge / unit) * unit, 0, 1)), reach);
    }

    /**
     * What of a box may snap along one axis: all of it where it is moved, or else the edge that the handle holds.
     * @param {number} start @param {number} size @param {Handle} handle
     * @param {string} first the first edge's letter @param {string} last
     * @returns {number[]}
     */
    function movingEdges(start, size, handle, first, last) {
        if (handle === "move") return [start, start + size / 2, start + size];
        if (handle.includes(last)) return [start + size];
        return handle.includes(first) ? [start] : [];
    }

    /**
     * A dragged box with its moving edges on lines nearby, or else on multiples of the model's unit.
     * @param {Box} box @param {Handle} handle @param {Lines} lines
     * @param {Point} reach in fractions @param {Point} [unit] in fractions
     * @returns {{box: Box, guides: Lines}}
     */
    function snapped(box, handle, lines, reach, unit = {x: 0, y: 0}) {
        const edgesX = movingEdges(box.x, box.w, handle, "w", "e");
        const edgesY = movingEdges(box.y, box.h, handle, "n", "s");
        const toX = nearest(edgesX, lines.x, reach.x) || nearestMultiple(edgesX.slice(0, 1), unit.x, reach.x);
        const toY = nearest(edgesY, lines.y, reach.y) || nearestMultiple(edgesY.slice(0, 1), unit.y, reach.y);
        const next = dragged(box, handle, toX ? toX.by : 0, toY ? toY.by : 0);
        return {box: next, guides: {x: toX ? [toX.line] : [], y: toY ? [toY.line] : []}};
    }

    /**
     * A point on lines nearby, or else on multiples of the model's unit.
     * @param {Point} point @param {Lines} lines @param {Point} reach @param {Point} unit
     * @returns {{point: Point, guides: Lines}}
     */
    function snappedPoint(point, lines, reach, unit) {
        const toX = nearest([point.x], lines.x, reach.x) || nearestMultiple([point.x], unit.x, reach.x);
        const toY = nearest([point.y], lines.y, reach.y) || nearestMultiple([point.y], unit.y, reach.y);
        return {
            point: {x: toX ? toX.line : point.x, y: toY ? toY.line : point.y},
            guides: {x: toX ? [toX.line] : [], y: toY ? [toY.line] : []},
        };
    }

    return {
        LEAST, HANDLES, clamp, rounded, stored, moved, dragged, between, around, contains, snapLines,
        snapped, snappedPoint,
    };
})();
