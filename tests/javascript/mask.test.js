"use strict";
// From painted pixels to polygons.
const test = require("node:test"), assert = require("node:assert/strict");
const {td, random} = require("./load.js");
const {ellipse, rectangle, outlines, simplified, polygonsOf} = td.mask;

/** Whether a point is inside by the even-odd rule. */
function within(polygons, x, y) {
    let odd = false;
    for (const p of polygons) p.forEach(([x0, y0], i) => {
        const [x1, y1] = p[(i + 1) % p.length];
        if ((y0 > y) !== (y1 > y) && x < (x1 - x0) * (y - y0) / (y1 - y0) + x0) odd = !odd;
    });
    return odd;
}

function blobs(seed, w, h, count) {
    const rnd = random(seed), inside = new Uint8Array(w * h);
    for (let k = 0; k < count; k++) {
        const [cx, cy, r, on] = [rnd() * w, rnd() * h, 3 + rnd() * w / 5, rnd() < 0.75];
        for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
            if (Math.hypot(x - cx, y - cy) < r) inside[y * w + x] = Number(on);
        }
    }
    return inside;
}

test("outlines hold exactly what was painted", () => {
    for (let seed = 0; seed < 30; seed++) {
        const [w, h] = [20 + seed, 30], rnd = random(seed);
        const inside = seed % 2 ? blobs(seed, w, h, 6) : Uint8Array.from({length: w * h}, () => Number(rnd() < 0.4));
        const polygons = outlines(inside, w, h);
        for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) {
            assert.equal(within(polygons, x + 0.5, y + 0.5), Boolean(inside[y * w + x]), `${seed} ${x} ${y}`);
        }
    }
});

test("simplified outlines stay within the tolerance, have fewer points, and keep straight corners", () => {
    const painted = Array.from({length: 400}, (_, i) => i % 20 > 3 && i % 20 < 15 && i > 60 && i < 300);
    const [square] = outlines(painted, 20, 20);
    assert.equal(simplified(square, 0.5).length, 4);
    for (let seed = 0; seed < 10; seed++) for (const outline of outlines(blobs(seed, 120, 100, 8), 120, 100)) {
        const few = simplified(outline, 1);
        assert.ok(few.length <= outline.length);
        for (const [x, y] of outline) {
            const nearest = Math.min(...few.map(([x0, y0], i) => {
                const [x1, y1] = few[(i + 1) % few.length], length = (x1 - x0) ** 2 + (y1 - y0) ** 2;
                const t = length ? Math.min(Math.max(((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / length, 0), 1) : 0;
                return Math.hypot(x - x0 - t * (x1 - x0), y - y0 - t * (y1 - y0));
            }));
            assert.ok(nearest <= 1 + 1e-9);
        }
    }
});

test("painted pixels become few points that fill nearly the same", () => {
    for (let seed = 0; seed < 10; seed++) {
        const inside = blobs(seed, 256, 192, 8), polygons = polygonsOf(inside, 256, 192);
        assert.ok(polygons.flat().length < 400);
        td.data.region({...td.data.DEFAULTS, mask: {polygons}}, "region");
        let wrong = 0;
        for (let y = 0; y < 192; y++) for (let x = 0; x < 256; x++) {
            const filled = within(polygons, (x + 0.5) / 256, (y + 0.5) / 192);
            wrong += Number(filled !== Boolean(inside[y * 256 + x]));
        }
        assert.ok(wrong / inside.length < 0.01, `${wrong}`);
    }
});

test("nothing painted is no polygon; noise is too ragged for polygons", () => {
    assert.deepEqual(polygonsOf(new Uint8Array(100), 10, 10), []);
    const rnd = random(1), noise = new Uint8Array(256 * 256);
    for (let y = 0; y < 256; y++) for (let x = 0; x < 256; x++) {
        noise[y * 256 + x] = Number(x % 12 < 7 && y % 12 < 7 && rnd() < 0.9);
    }
    assert.equal(polygonsOf(noise, 256, 256), null);
});

test("plain shapes lie in their box", () => {
    const box = {x: 0.2, y: 0.1, w: 0.5, h: 0.9};
    assert.deepEqual(rectangle(box), [[0.2, 0.1], [0.7, 0.1], [0.7, 1], [0.2, 1]]);
    const points = ellipse(box);
    assert.equal(points.length, 48);
    for (const [x, y] of points) assert.ok(Math.abs(((x - 0.45) / 0.25) ** 2 + ((y - 0.55) / 0.45) ** 2 - 1) < 2e-3);
});
