"use strict";
// What is drawn of the regions.
const test = require("node:test"), assert = require("node:assert");
const fs = require("node:fs"), path = require("node:path");
const {td} = require("./load.js");

/** A canvas that takes every call and draws nothing. */
function canvas() {
    const get = (_, name) => () => name === "getImageData" ? {data: []} : undefined;
    const context = new Proxy({}, {get, set: () => true});
    return {width: 0, height: 0, getContext: () => context};
}

test("several painted shapes are loaded once each, however often they are drawn", t => {
    let loads = 0;
    globalThis.document = {createElement: canvas};
    globalThis.Image = class {
        complete = true;
        naturalWidth = 1;
        set src(_) { loads += 1; }
    };
    t.after(() => { delete globalThis.document; delete globalThis.Image; });
    const regions = ["AAAA", "BBBB", "CCCC"].map(picture => ({...td.data.DEFAULTS, mask: {picture}, hidden: false}));
    for (let i = 0; i < 5; i++) td.paint.draw(canvas(), regions, {width: 64, height: 64}, () => {});
    assert.strictEqual(loads, 3);
});

const EDGES = JSON.parse(fs.readFileSync(path.join(__dirname, "..", "fixtures", "soft_edges.json"), "utf8"));
for (const {name, region, values} of EDGES.cases) {
    test(`the drawn soft edge is the one that the engine blends with: ${name}`, () => {
        const full = {...td.data.DEFAULTS, ...region};
        const width = region.feather * Math.min(region.w * EDGES.width, region.h * EDGES.height);
        // a foreground's edge counts whole pixels
        const slack = region.layer === "background" ? 1e-5 : 3.5 / Math.max(width, 3.5);
        for (const [x, y, value] of values) {
            const drawn = td.paint.coverage(full, x + 0.5, y + 0.5, EDGES);
            assert.ok(Math.abs(drawn - value) <= slack, `${x} ${y}: ${drawn} instead of ${value}`);
        }
    });
}
