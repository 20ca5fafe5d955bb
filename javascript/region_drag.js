"use strict";
// What a pointer's position means while it draws, selects, moves or resizes: no DOM, no state but the drag itself.

tiledDiffusion.drag = (() => {
    const {between, dragged, snapped, snappedPoint, around, clamp} = tiledDiffusion.box;
    /** @type {Lines} */
    const NO_LINES = {x: [], y: []};

    /**
     * Where a drag has got to. Always computed from its beginning, so that nothing adds up.
     * Shift: a square, or the ratio that was; Alt: from the centre; Ctrl: no snapping.
     * @param {Drag} drag @param {Point} at @param {Keys} keys @returns {DragResult}
     */
    function next(drag, at, keys) {
        if (drag.kind === "select") return {box: between(drag.start, at), boxes: {}, guides: NO_LINES};
        return drag.kind === "draw" ? drawn(drag, at, keys) : changed(drag, at, keys);
    }

    /** @param {Keys} keys */
    function snaps(keys) {
        return !keys.ctrl && !keys.shift && !keys.alt;
    }

    /** @param {Drag} drag @param {Point} at @param {Keys} keys @returns {DragResult} */
    function drawn({start, scene}, at, keys) {
        const {lines, reach, unit, square} = scene;
        const from = keys.ctrl ? start : snappedPoint(start, lines, reach, unit).point;
        const {point, guides} = snaps(keys) ? snappedPoint(at, lines, reach, unit) : {point: at, guides: NO_LINES};
        const to = keys.shift ? squared(from, point, square, keys.alt) : keys.alt ? mirrored(from, point) : point;
        const opposite = keys.alt ? {x: 2 * from.x - to.x, y: 2 * from.y - to.y} : from;
        return {box: between(opposite, to), boxes: {}, guides};
    }

    /**
     * How far a corner may go from a point along one axis.
     * @param {number} from @param {number} by @param {boolean} centre
     */
    function room(from, by, centre) {
        return centre ? Math.min(from, 1 - from) : by < 0 ? from : 1 - from;
    }

    /**
     * The corner of a square of pixels.
     * @param {Point} from @param {Point} to @param {number} square @param {boolean} centre @returns {Point}
     */
    function squared(from, to, square, centre) {
        const dx = to.x - from.x, dy = to.y - from.y;
        const wanted = Math.max(Math.abs(dx) / square, Math.abs(dy));
        const h = Math.min(wanted, room(from.x, dx, centre) / square, room(from.y, dy, centre));
        return {x: from.x + (dx < 0 ? -h : h) * square, y: from.y + (dy < 0 ? -h : h)};
    }

    /**
     * A corner whose opposite, seen from the centre, is on the canvas too.
     * @param {Point} from @param {Point} to @returns {Point}
     */
    function mirrored(from, to) {
        const [x, y] = [room(from.x, 0, true), room(from.y, 0, true)];
        return {x: from.x + clamp(to.x - from.x, -x, x), y: from.y + clamp(to.y - from.y, -y, y)};
    }

    /** @param {Drag} drag @param {Point} at @param {Keys} keys @returns {DragResult} */
    function changed({start, from, handle, scene}, at, keys) {
        const whole = from.length === 1 ? from[0] : around(from);
        const ratio = keys.shift && handle !== "move" ? whole.w / whole.h : null;
        let box = dragged(whole, handle, at.x - start.x, at.y - start.y, {ratio, centre: keys.alt}), guides = NO_LINES;
        if (snaps(keys)) ({box, guides} = snapped(box, handle, scene.lines, scene.reach, scene.unit));
        const boxes = Object.fromEntries(from.map(b => [b.id, {
            x: box.x + (b.x - whole.x) / whole.w * box.w, y: box.y + (b.y - whole.y) / whole.h * box.h,
            w: b.w / whole.w * box.w, h: b.h / whole.h * box.h,
        }]));
        return {box, boxes, guides};
    }

    return {next};
})();
