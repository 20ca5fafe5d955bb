"use strict";
const assert = require("node:assert"), test = require("node:test");
const {td} = require("./load.js");

/** A canvas that takes every call and draws nothing. */
function canvas() {
    const context = new Proxy({}, {get: (_, name) => () => name === "getImageData" ? {data: []} : undefined, set: () => true});
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
