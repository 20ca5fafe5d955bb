"use strict";
// The corners of a frame: how they move and travel, and the editor's questions to the server.
const test = require("node:test"), assert = require("node:assert/strict");
const {td, random} = require("./load.js");
const {MIDDLE, moved, pairs, points} = td.corners;

test("a corner stays within the photo, and the others where they are", () => {
    const rnd = random(3);
    for (let i = 0; i < 500; i++) {
        const k = Math.floor(rnd() * 4), to = {x: rnd() * 3 - 1, y: rnd() * 3 - 1}, next = moved(MIDDLE, k, to);
        assert.ok(next.every(({x, y}) => x >= 0 && x <= 1 && y >= 0 && y <= 1));
        if (to.x >= 0 && to.x <= 1 && to.y >= 0 && to.y <= 1) assert.deepEqual(next[k], to);
        assert.deepEqual(next.filter((_, j) => j !== k), MIDDLE.filter((_, j) => j !== k));
    }
    assert.deepEqual(MIDDLE[0], {x: 0.25, y: 0.25});
});

test("as pairs and back they are the same", () => {
    const corners = [{x: 0.1, y: 0}, {x: 1, y: 0.123457}, {x: 0.9, y: 0.8}, {x: 0, y: 1}];
    assert.deepEqual(pairs(corners)[1], [1, 0.123457]);
    assert.deepEqual(points(pairs(corners)), corners);
});

test("the server is asked by one route, and its reason reaches the reader", async t => {
    const asked = [];
    t.mock.method(globalThis, "fetch", async (path, options) => {
        asked.push([path, options.method, JSON.parse(options.body)]);
        const first = asked.length === 1, answer = first ? {shape: 1} : {detail: "corners: the sides cross"};
        return {ok: first, json: async () => answer};
    });
    const question = {picture: "data:,", corners: null, context: 0.5, shape: null};
    assert.deepEqual(await td.routes.frame(question), {shape: 1});
    assert.deepEqual(asked[0], ["tiled-diffusion/frame", "POST", question]);
    await assert.rejects(td.routes.frame(question), /the sides cross/);
});
