"use strict";
// Layouts and what is left over; the soft edge that is drawn.
const test = require("node:test"), assert = require("node:assert/strict");
const {td, random} = require("./load.js");
const {ratios, columns, rows, grid, largestGap, uncovered, overlap} = td.layout;
const WHOLE = {x: 0, y: 0, w: 1, h: 1};
const area = boxes => boxes.reduce((sum, b) => sum + b.w * b.h, 0);

test("ratios", () => {
    assert.deepEqual(ratios("3"), [1, 1, 1]);
    assert.deepEqual(ratios("1,2,1"), [1, 2, 1]);
    assert.deepEqual(ratios("1:2; 0.5"), [1, 2, 0.5]);
    for (const wrong of ["", "0", "-1,2", "a", "1,b", "100", "1e9"]) assert.throws(() => ratios(wrong), /ratio/);
});

test("columns, rows and grids cover the canvas without overlap", () => {
    const next = random(4);
    for (let i = 0; i < 200; i++) {
        const parts = Array.from({length: 1 + Math.floor(next() * 6)}, () => 0.5 + next() * 3);
        for (const boxes of [columns(WHOLE, parts), rows(WHOLE, parts), grid(WHOLE, parts, [1, 2])]) {
            assert.ok(Math.abs(area(boxes) - 1) < 1e-3);
            boxes.forEach((a, n) => boxes.slice(n + 1).forEach(b => assert.ok(!overlap(a, b))));
            for (const b of boxes) assert.ok(b.x + b.w <= 1.0001 && b.y + b.h <= 1.0001);
        }
    }
});

test("the largest gap", () => {
    assert.deepEqual(largestGap([]), WHOLE);
    assert.equal(largestGap([WHOLE]), null);
    assert.deepEqual(largestGap([{x: 0, y: 0, w: 0.25, h: 1}]), {x: 0.25, y: 0, w: 0.75, h: 1});
    assert.equal(area([largestGap([{x: 0.4, y: 0.4, w: 0.2, h: 0.2}])]), 0.4);
});

test("what no box covers", () => {
    assert.equal(uncovered([]), 1);
    assert.equal(uncovered([WHOLE]), 0);
    const next = random(5), N = 50;
    for (let i = 0; i < 20; i++) {
        const side = round => round(next() * 25) / N;
        const box = () => ({x: side(Math.floor), y: side(Math.floor), w: 25 / N, h: side(Math.ceil)});
        const boxes = Array.from({length: 4}, box);
        let open = 0;
        for (let y = 0; y < N; y++) for (let x = 0; x < N; x++) {
            open += Number(!boxes.some(b => td.box.contains(b, {x: (x + 0.5) / N, y: (y + 0.5) / N})));
        }
        assert.ok(Math.abs(uncovered(boxes) - open / N / N) < 1e-3);
    }
});

test("the drawn edge is the blended one", () => {
    const {coverage} = td.paint, size = {width: 100, height: 100};
    const region = {...td.data.DEFAULTS, x: 0.2, y: 0.2, w: 0.6, h: 0.6, feather: 0.2};
    assert.equal(coverage(region, 50, 50, size), 1);
    assert.ok(Math.abs(coverage(region, 20, 50, size) - 0.5) < 1e-9);
    assert.equal(coverage(region, 5, 50, size), 0);
    const above = {...region, layer: "foreground"};
    assert.equal(coverage(above, 20, 50, size), 0);
    assert.equal(coverage(above, 50, 50, size), 1);
    assert.ok(coverage(above, 23, 50, size) > 0 && coverage(above, 23, 50, size) < 1);
    assert.equal(coverage({...region, x: 0, w: 1}, 0.5, 50, size), 1);
    assert.match(td.paint.colour(3), /^hsl/);
});
