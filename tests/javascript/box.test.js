"use strict";
// Geometry of boxes: what holds for every drag.
const test = require("node:test"), assert = require("node:assert/strict");
const {td, added, random} = require("./load.js");
const {LEAST, HANDLES, dragged, moved, stored, between, around, contains, snapLines, snapped, clamp} = td.box;
const E = 1e-9;

function boxes(seed, count) {
    const next = random(seed);
    return Array.from({length: count}, () => {
        const w = 0.02 + 0.6 * next(), h = 0.02 + 0.6 * next();
        return {x: next() * (1 - w), y: next() * (1 - h), w, h, dx: next() * 3 - 1.5, dy: next() * 3 - 1.5};
    });
}

function inside(b) {
    assert.ok(b.x >= -E && b.y >= -E && b.x + b.w <= 1 + E && b.y + b.h <= 1 + E, JSON.stringify(b));
    assert.ok(b.w > 0 && b.h > 0, JSON.stringify(b));
}

test("one global is added", () => assert.deepEqual(added, ["tiledDiffusion"]));

test("a drag of any handle by any offset stays inside, and holds the opposite edge", () => {
    for (const {dx, dy, ...box} of boxes(1, 2000)) for (const handle of ["move", ...HANDLES]) {
        const b = dragged(box, handle, dx, dy);
        inside(b);
        if (handle.includes("e") && handle !== "move") assert.ok(Math.abs(b.x - box.x) < E);
        if (handle.includes("w")) assert.ok(Math.abs(b.x + b.w - box.x - box.w) < E);
        if (handle.includes("s")) assert.ok(Math.abs(b.y - box.y) < E);
        if (handle.includes("n")) assert.ok(Math.abs(b.y + b.h - box.y - box.h) < E);
        if (handle === "move") assert.ok(Math.abs(b.w - box.w) < E && Math.abs(b.h - box.h) < E);
        else assert.ok(b.w >= LEAST - E || b.w >= box.w - E);
    }
});

test("there and back is the identity where nothing was cut off", () => {
    for (const {dx, dy, ...box} of boxes(2, 2000)) for (const handle of ["move", ...HANDLES]) {
        const b = dragged(box, handle, dx / 50, dy / 50);
        const back = dragged(b, handle, -dx / 50, -dy / 50);
        const free = b.x > E && b.y > E && b.x + b.w < 1 - E && b.y + b.h < 1 - E && b.w > LEAST + E && b.h > LEAST + E;
        if (free) for (const k of ["x", "y", "w", "h"]) assert.ok(Math.abs(back[k] - box[k]) < 1e-9, `${handle} ${k}`);
    }
});

test("a ratio is kept, within the canvas", () => {
    for (const {dx, dy, ...box} of boxes(3, 1000)) for (const handle of HANDLES) for (const centre of [false, true]) {
        const b = dragged(box, handle, dx, dy, {ratio: box.w / box.h, centre});
        inside(b);
        assert.ok(Math.abs(b.w / b.h - box.w / box.h) < 1e-6 * (box.w / box.h) + 1e-6);
    }
});

test("from the centre the centre stays", () => {
    for (const {dx, dy, ...box} of boxes(4, 1000)) for (const handle of HANDLES) {
        const b = dragged(box, handle, dx, dy, {centre: true});
        inside(b);
        assert.ok(Math.abs(b.x + b.w / 2 - box.x - box.w / 2) < E && Math.abs(b.y + b.h / 2 - box.y - box.h / 2) < E);
    }
});

test("stored boxes have four digits and lie inside", () => {
    for (const {dx, dy, ...box} of boxes(5, 500)) {
        const b = stored({x: box.x + dx, y: box.y + dy, w: box.w * 2, h: box.h});
        assert.ok(b.x >= 0 && b.y >= 0 && b.x + b.w <= 1.0001 && b.y + b.h <= 1.0001);
        for (const v of Object.values(b)) assert.equal(v, Math.round(v * 10000) / 10000);
    }
});

test("edges snap to what is near, and to nothing else", () => {
    const lines = snapLines([{x: 0.2, y: 0.2, w: 0.2, h: 0.2}]);
    const near = snapped({x: 0.405, y: 0.7, w: 0.1, h: 0.1}, "move", lines, {x: 0.01, y: 0.01});
    assert.ok(Math.abs(near.box.x - 0.4) < E);
    assert.equal(near.guides.x.length, 1);
    const far = {x: 0.55, y: 0.72, w: 0.07, h: 0.05};
    assert.deepEqual(snapped(far, "move", lines, {x: 0.01, y: 0.01}).guides, {x: [], y: []});
    const edge = snapped({x: 0.1, y: 0.1, w: 0.23, h: 0.2}, "e", lines, {x: 0.01, y: 0.01});
    assert.ok(Math.abs(edge.box.x + edge.box.w - 1 / 3) < E && edge.box.x === 0.1);
    assert.deepEqual(snapped({x: 0.1, y: 0.005, w: 0.2, h: 0.3}, "n", lines, {x: 0.01, y: 0.01}).guides.y, [0]);
});

test("small helpers", () => {
    assert.deepEqual(between({x: 0.5, y: 2}, {x: -1, y: 0.25}), {x: 0, y: 0.25, w: 0.5, h: 0.75});
    const two = [{x: 0.1, y: 0.2, w: 0.1, h: 0.1}, {x: 0.5, y: 0.1, w: 0.25, h: 0.4}];
    assert.deepEqual(around(two), {x: 0.1, y: 0.1, w: 0.65, h: 0.4});
    const quarter = {x: 0, y: 0, w: 0.5, h: 0.5};
    assert.ok(contains(quarter, {x: 0.5, y: 0.2}) && !contains(quarter, {x: 0.6, y: 0.2}));
    assert.deepEqual(moved({x: 0.5, y: 0.5, w: 0.5, h: 0.5}, 1, -1), {x: 0.5, y: 0, w: 0.5, h: 0.5});
    assert.equal(clamp(5, 0, 1), 1);
});
