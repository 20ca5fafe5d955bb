"use strict";
// What the server is asked for, and what becomes of its answers.
const test = require("node:test"), assert = require("node:assert/strict");
const {td} = require("./load.js");
const {presets, tokens, plan} = td.routes;

/** Answers the next calls; returns what was asked. */
function answering(t, status, data) {
    const asked = [];
    t.mock.method(globalThis, "fetch", async (path, {method, body}) => {
        asked.push([method, path, body]);
        return new Response(data, {status});
    });
    return asked;
}

test("each call has its path, its method and its body", async t => {
    const asked = answering(t, 200, '{"counts": [[3, 75]]}');
    for (const [call, ...expected] of [
        [() => presets.list(), "GET", "tiled-diffusion/presets", undefined],
        [() => presets.load("a/b"), "GET", "tiled-diffusion/presets/a%2Fb", undefined],
        [() => presets.save("a", {fill: "none"}), "PUT", "tiled-diffusion/presets/a", '{"fill":"none"}'],
        [() => presets.rename("a b", "c"), "POST", "tiled-diffusion/presets/a%20b/rename", '{"to":"c"}'],
        [() => presets.remove("a"), "DELETE", "tiled-diffusion/presets/a", undefined],
        [() => presets.convert([1]), "POST", "tiled-diffusion/import", "[1]"],
        [() => tokens(["a"]), "POST", "tiled-diffusion/tokens", '{"texts":["a"]}'],
        [() => plan({width: 8}), "POST", "tiled-diffusion/plan", '{"width":8}'],
    ]) {
        await call();
        assert.deepEqual(asked.pop(), expected);
    }
    assert.deepEqual(await tokens(["a red house"]), [[3, 75]]);
});

test("a refusal says why; where the server does not, its status", async t => {
    for (const [status, data, words] of [[422, '{"detail": "name: got x"}', "name: got x"], [500, "oh", "500"]]) {
        answering(t, status, data);
        await assert.rejects(presets.load("x"), {message: words});
    }
});

test("a plan is its figures, or why there is none", async t => {
    answering(t, 200, '{"tiles": 4}');
    assert.deepEqual(await plan({}), {tiles: 4});
    answering(t, 422, '{"detail": "overlap: too large"}');
    assert.equal(await plan({}), "overlap: too large");
});
