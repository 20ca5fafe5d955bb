"use strict";
// The four corners of a picture frame in a photo: what they are and how they move. No DOM.

tiledDiffusion.corners = (() => {
    /** Where they begin: about the middle. @type {readonly Point[]} */
    const MIDDLE = [{x: 0.25, y: 0.25}, {x: 0.75, y: 0.25}, {x: 0.75, y: 0.75}, {x: 0.25, y: 0.75}];
    const {clamp} = tiledDiffusion.box;

    /**
     * The corners with one of them elsewhere, within the photo.
     * @param {readonly Point[]} corners @param {number} k @param {Point} to
     */
    function moved(corners, k, to) {
        return corners.map((corner, i) => i === k ? {x: clamp(to.x, 0, 1), y: clamp(to.y, 0, 1)} : corner);
    }

    /** As [[x, y], ...], which the server reads. @param {readonly Point[]} corners */
    function pairs(corners) {
        return corners.map(({x, y}) => [Number(x.toFixed(6)), Number(y.toFixed(6))]);
    }

    /** @param {number[][]} pairs */
    function points(pairs) {
        return pairs.map(([x, y]) => ({x, y}));
    }

    return {MIDDLE, moved, pairs, points};
})();
