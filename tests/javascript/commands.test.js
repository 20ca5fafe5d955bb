"use strict";
// What buttons, keys and the menu do with regions.
const test = require("node:test"), assert = require("node:assert/strict");
const {td} = require("./load.js");

/** Commands over a store of their own; `said` is what was told, `typed` how often a prompt was waited for. */
function begun(regions = []) {
    const store = td.store.createStore(), seen = {said: "", typed: 0};
    const notices = {
        say(words) { seen.said = words; },
        told(act) {
            try {
                act();
            } catch (error) {
                seen.said = error.message;
            }
        },
    };
    const host = {size: () => ({width: 512, height: 256}), translate: text => text};
    if (regions.length) store.dispatch({type: "add", regions});
    const commands = new td.RegionCommands(store, host, notices, {focus() { seen.typed++; }});
    return {store, seen, commands, boxes: () => store.state.regions.map(({x, y, w, h}) => [x, y, w, h])};
}

const HALF = {prompt: "a", x: 0, w: 0.5};

test("regions are laid out over the canvas, and a prompt is waited for", () => {
    for (const [how, ratios, expected] of [
        ["columns", "1,3", [[0, 0, 0.25, 1], [0.25, 0, 0.75, 1]]], ["rows", "2", [[0, 0, 1, 0.5], [0, 0.5, 1, 0.5]]],
        ["grid", "2", [[0, 0, 0.5, 0.5], [0.5, 0, 0.5, 0.5], [0, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.5]]],
    ]) {
        const {commands, store, seen, boxes} = begun();
        commands.arrange(how, ratios);
        assert.deepEqual([boxes(), seen.typed], [expected, 1]);
        assert.ok(store.state.regions.every(r => r.join === "append"));
        commands.arrange(how, "none");
        assert.match(seen.said, /^ratio: got "none"/);
        assert.equal(store.state.regions.length, expected.length);
    }
});

test("the selected region is split, by halves where there is one ratio", () => {
    for (const [ratios, expected] of [["1", [0.25, 0.25]], ["1,3", [0.125, 0.375]]]) {
        const {commands, store} = begun([HALF]);
        commands.split(ratios);
        assert.deepEqual(store.state.regions.map(r => r.w), expected);
    }
});

test("what may not be changed is told of, and stays", () => {
    const none = begun(), locked = begun([HALF]);
    locked.store.dispatch({type: "edit", ids: [1], fields: {locked: true}});
    const cases = [[none, "Select one region first"], [locked, "The region is locked"]];
    for (const [{commands, store, seen}, words] of cases) {
        const before = store.state;
        assert.equal(commands.needed(), null);
        commands.split("2");
        assert.deepEqual([store.state, seen.said], [before, words]);
    }
    assert.equal(begun([HALF]).commands.needed().prompt, "a");
});

test("the rest is filled while there is one", () => {
    const {commands, seen, boxes} = begun([HALF]);
    commands.fillRest();
    assert.deepEqual([boxes()[1], seen.said], [[0.5, 0, 0.5, 1], ""]);
    commands.fillRest();
    assert.equal(seen.said, "Nothing is left to fill");
});

test("steps are in pixels of the picture, and several are one step of undo", () => {
    const {commands, boxes} = begun([HALF]);
    commands.step("nudge", 64, 0);
    commands.step("nudge", 64, 0);
    assert.deepEqual(boxes(), [[0.25, 0, 0.5, 1]]);
    commands.step("grow", 0, -128);
    assert.deepEqual(boxes(), [[0.25, 0, 0.5, 0.5]]);
    commands.undo();
    commands.undo();
    assert.deepEqual(boxes(), [[0, 0, 0.5, 1]]);
    commands.redo();
    assert.deepEqual(boxes(), [[0.25, 0, 0.5, 1]]);
});

test("selected regions are copied, ordered and removed; a prompt is written where one is selected", () => {
    const {commands, store, seen} = begun([HALF, {prompt: "b"}]);
    const prompts = () => store.state.regions.map(r => r.prompt).join("");
    commands.write();
    store.pick(1, false);
    commands.write();
    assert.equal(seen.typed, 1);
    commands.toFront();
    assert.equal(prompts(), "ba");
    commands.toBack();
    assert.equal(prompts(), "ab");
    commands.duplicate();
    assert.equal(prompts(), "aba");
    commands.selectAll();
    assert.deepEqual(store.state.selected, [1, 2, 3]);
    commands.selectNone();
    commands.remove();
    assert.equal(prompts(), "aba");
    commands.addInTheMiddle();
    commands.remove();
    assert.deepEqual([prompts(), seen.typed], ["aba", 2]);
});
