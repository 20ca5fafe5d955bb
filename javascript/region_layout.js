"use strict";
// Layout helpers: columns, rows, grids, splits and what is left over. No DOM, no state.

tiledDiffusion.layout = (() => {
    const {rounded} = tiledDiffusion.box, {DataError, MAX_REGIONS} = tiledDiffusion.data;

    /**
     * Numbers of a ratio such as "1,2,1", or that many equal ones for a plain count.
     * @param {string} text
     * @returns {number[]}
     */
    function ratios(text) {
        const numbers = text.split(/[,:;\s]+/).filter(Boolean).map(Number);
        if (!numbers.length || numbers.some(n => !(n > 0 && n < 1e4))) {
            throw new DataError(`ratio: got "${text}", allowed are numbers such as 3 or 1,2,1`);
        }
        /** @type {number[]} */
        const parts = numbers.length === 1 ? Array(Math.round(numbers[0])).fill(1) : numbers;
        if (parts.length > MAX_REGIONS) {
            throw new DataError(`ratio: got ${parts.length} parts, allowed are at most ${MAX_REGIONS}`);
        }
        return parts;
    }

    /** [start, size] of each part of a length. @param {number} start @param {number} size @param {number[]} parts */
    function spans(start, size, parts) {
        const sum = parts.reduce((a, b) => a + b, 0);
        let at = 0;
        return parts.map(part => {
            const from = rounded(start + size * at / sum);
            at += part;
            return [from, rounded(rounded(start + size * at / sum) - from)];
        });
    }

    /** @param {Box} box @param {number[]} parts @returns {Box[]} */
    function columns(box, parts) {
        return spans(box.x, box.w, parts).map(([x, w]) => ({x, y: box.y, w, h: box.h}));
    }

    /** @param {Box} box @param {number[]} parts @returns {Box[]} */
    function rows(box, parts) {
        return spans(box.y, box.h, parts).map(([y, h]) => ({x: box.x, y, w: box.w, h}));
    }

    /** @param {Box} box @param {number[]} down @param {number[]} across @returns {Box[]} */
    function grid(box, down, across) {
        return rows(box, down).flatMap(row => columns(row, across));
    }

    /**
     * The largest part of the canvas that no box covers, as a box; null where nothing is left.
     * @param {Box[]} boxes
     * @returns {Box | null}
     */
    function largestGap(boxes) {
        const xs = lines(boxes.flatMap(b => [b.x, b.x + b.w])), ys = lines(boxes.flatMap(b => [b.y, b.y + b.h]));
        /** @type {Box | null} */
        let best = null;
        for (let i = 0; i < xs.length; i++) for (let j = i + 1; j < xs.length; j++) {
            for (let k = 0; k < ys.length; k++) for (let l = k + 1; l < ys.length; l++) {
                const gap = {x: xs[i], y: ys[k], w: xs[j] - xs[i], h: ys[l] - ys[k]};
                if (best && gap.w * gap.h <= best.w * best.h) continue;
                if (!boxes.some(b => overlap(b, gap))) best = gap;
            }
        }
        return best;
    }

    /** The part of the canvas, 0 to 1, that no box covers. @param {Box[]} boxes */
    function uncovered(boxes) {
        const xs = lines(boxes.flatMap(b => [b.x, b.x + b.w])), ys = lines(boxes.flatMap(b => [b.y, b.y + b.h]));
        let sum = 0;
        for (let i = 1; i < xs.length; i++) for (let j = 1; j < ys.length; j++) {
            const cell = {x: xs[i - 1], y: ys[j - 1], w: xs[i] - xs[i - 1], h: ys[j] - ys[j - 1]};
            if (!boxes.some(b => overlap(b, cell))) sum += cell.w * cell.h;
        }
        return sum;
    }

    /** @param {number[]} values */
    function lines(values) {
        return [...new Set([0, 1, ...values.map(rounded)])].filter(v => v >= 0 && v <= 1).sort((a, b) => a - b);
    }

    /** @param {Box} a @param {Box} b */
    function overlap(a, b) {
        const e = 1e-6;
        return a.x < b.x + b.w - e && b.x < a.x + a.w - e && a.y < b.y + b.h - e && b.y < a.y + a.h - e;
    }

    return {ratios, columns, rows, grid, largestGap, uncovered, overlap};
})();
