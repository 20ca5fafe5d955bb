"use strict";
// What a pointer's position means while it drags.
const test = require("node:test"), assert = require("node:assert/strict");
const {td, random} = require("./load.js");
const {next} = td.drag, {snapLines, snapped, snappedPoint} = td.box;
const E = 1e-9, NONE = {shift: false, alt: false, ctrl: false};
const scene = {lines: snapLines([]), reach: {x: 0.01, y: 0.01}, unit: {x: 0, y: 0}, square: 0.5};

function inside(b) {
    assert.ok(b.x >= -E && b.y >= -E && b.x + b.w <= 1 + E && b.y + b.h <= 1 + E, JSON.stringify(b));
}

function drags(count) {
    const rnd = random(9);
    return Array.from({length: count}, () => ({
        start: {x: rnd(), y: rnd()}, at: {x: rnd() * 1.6 - 0.3, y: rnd() * 1.6 - 0.3},
        keys: {shift: rnd() < 0.5, alt: rnd() < 0.5, ctrl: rnd() < 0.5},
    }));
}

test("what is drawn stays inside, is a square of pixels with Shift, and has its centre at the start with Alt", () => {
    for (const {start, at, keys} of drags(3000)) {
        const {box, boxes} = next({kind: "draw", start, handle: "se", from: [], scene}, at, keys);
        inside(box);
        assert.deepEqual(boxes, {});
        if (keys.shift) assert.ok(Math.abs(box.w - scene.square * box.h) < 1e-9);
        if (!keys.alt || !keys.ctrl) continue;
        assert.ok(Math.abs(box.x + box.w / 2 - start.x) < E && Math.abs(box.y + box.h / 2 - start.y) < E);
    }
});

test("a drawn box begins and ends on lines nearby, unless Ctrl is held", () => {
    const drag = {kind: "draw", start: {x: 0.005, y: 0.33}, handle: "se", from: [], scene};
    const {box, guides} = next(drag, {x: 0.495, y: 0.995}, NONE);
    assert.deepEqual([box.x, box.x + box.w, box.y + box.h], [0, 0.5, 1]);
    assert.ok(Math.abs(box.y - 1 / 3) < E);
    assert.deepEqual(guides, {x: [0.5], y: [1]});
    const free = next(drag, {x: 0.495, y: 0.995}, {...NONE, ctrl: true});
    assert.deepEqual([free.box.x, free.box.y], [0.005, 0.33]);
    assert.deepEqual(free.guides, {x: [], y: []});
});

test("several boxes keep their places in the frame around them", () => {
    const from = [{id: 1, x: 0.1, y: 0.1, w: 0.2, h: 0.2}, {id: 2, x: 0.4, y: 0.2, w: 0.1, h: 0.3}];
    const drag = {kind: "change", start: {x: 0.5, y: 0.5}, handle: "se", from, scene};
    const {boxes} = next(drag, {x: 0.9, y: 0.9}, {...NONE, ctrl: true});
    assert.ok(Math.abs(boxes[1].w - 0.4) < E && Math.abs(boxes[2].x - 0.7) < E && Math.abs(boxes[2].h - 0.6) < E);
    for (const {start, at, keys} of drags(500)) for (const handle of ["move", ...td.box.HANDLES]) {
        const found = next({kind: "change", start, handle, from, scene}, at, keys);
        Object.values(found.boxes).forEach(inside);
    }
});

test("a drag that comes back to its start changes nothing", () => {
    const from = [{id: 7, x: 0.11, y: 0.17, w: 0.23, h: 0.29}];
    for (const handle of ["move", ...td.box.HANDLES]) {
        const start = {x: 0.5, y: 0.5};
        const {boxes} = next({kind: "change", start, handle, from, scene}, start, {...NONE, ctrl: true});
        for (const k of ["x", "y", "w", "h"]) assert.ok(Math.abs(boxes[7][k] - from[0][k]) < E);
    }
});

test("where no line is near, edges go to the model's multiples", () => {
    const lines = snapLines([]), reach = {x: 0.01, y: 0.01}, unit = {x: 1 / 16, y: 1 / 8};
    const moved = snapped({x: 0.192, y: 0.63, w: 0.11, h: 0.11}, "move", lines, reach, unit);
    assert.deepEqual([moved.box.x, moved.box.y], [3 / 16, 5 / 8]);
    const resized = snapped({x: 0.2, y: 0.2, w: 0.24, h: 0.3}, "e", lines, reach, unit);
    assert.ok(Math.abs(resized.box.x + resized.box.w - 7 / 16) < E && resized.box.y === 0.2);
    assert.deepEqual(snappedPoint({x: 0.332, y: 0.62}, lines, reach, unit).point, {x: 1 / 3, y: 5 / 8});
    assert.deepEqual(snappedPoint({x: 0.41, y: 0.55}, lines, reach, {x: 0, y: 0}).guides, {x: [], y: []});
});

test("a frame that selects is between its ends", () => {
    const start = {x: 0.6, y: 0.6}, end = {x: 0.2, y: 0.9};
    const {box} = next({kind: "select", start, handle: "se", from: [], scene}, end, NONE);
    assert.deepEqual(box, td.box.between(start, end));
});
