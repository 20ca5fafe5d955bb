"use strict";
// The region document, and the editor's state with its undo.
const test = require("node:test"), assert = require("node:assert/strict");
const fs = require("node:fs"), path = require("node:path");
const {td, random} = require("./load.js");
const {createStore, reduce, EMPTY, toText} = td.store;
const FIXTURES = JSON.parse(fs.readFileSync(path.join(__dirname, "..", "fixtures", "regions.json"), "utf8"));

/** A page does not know whether the canvas is a ring, over whose edges a box may go: `on_page` is valid there. */
for (const {name, document, valid, on_page: onPage, field} of FIXTURES) {
    test(`document: ${name}`, () => {
        if (!valid && !onPage) {
            const named = error => field === "settings" || error.message.includes(field);
            const wrong = error => error instanceof td.data.DataError && named(error);
            return assert.throws(() => td.data.read(document), wrong);
        }
        const read = td.data.read(document);
        assert.deepEqual(td.data.parse(td.data.write(read)), read);
    });
}

test("text that is no JSON is refused, and no text is an empty document", () => {
    assert.throws(() => td.data.parse("{"), /no valid JSON/);
    assert.deepEqual(td.data.parse(" "), {regions: [], fill: "main", rerolls: []});
    assert.equal(td.data.write(td.data.parse("")), "");
});

function freeze(value) {
    if (value && typeof value === "object") Object.values(value).forEach(freeze);
    return Object.freeze(value);
}

function randomAction(next, state) {
    const some = () => state.regions.filter(() => next() < 0.4).map(r => r.id);
    const box = () => {
        const w = 0.05 + next() * 0.5, h = 0.05 + next() * 0.5;
        return {x: next() * (1 - w), y: next() * (1 - h), w, h};
    };
    const fields = () => ({prompt: "edited", feather: next(), locked: next() < 0.1});
    const one = state.regions[Math.floor(next() * state.regions.length)];
    const choices = [
        () => ({type: "add", regions: [{prompt: `p${Math.floor(next() * 99)}`, ...box()}]}),
        () => ({type: "select", ids: some()}),
        () => ({type: "place", boxes: Object.fromEntries(some().map(id => [id, box()]))}),
        () => one && ({type: "edit", ids: [one.id], fields: fields(), merge: next() < 0.5 ? "m" : undefined}),
        () => ({type: "nudge", dx: next() - 0.5, dy: next() - 0.5}),
        () => ({type: "grow", dx: next() - 0.5, dy: next() - 0.5}),
        () => ({type: next() < 0.5 ? "front" : "back"}),
        () => next() < 0.3 && ({type: "remove"}),
        () => next() < 0.5 && ({type: "duplicate"}),
        () => one && ({type: "reorder", id: one.id, to: Math.floor(next() * 5)}),
        () => ({type: "fill", value: next() < 0.5 ? "main" : "none"}),
    ];
    return choices[Math.floor(next() * choices.length)]();
}

test("undo takes back a thousand random actions one by one, redo does them again", () => {
    for (const seed of [1, 2, 3]) {
        const next = random(seed), store = createStore(freeze(EMPTY));
        const texts = [toText(store.state)];
        for (let i = 0; i < 1000; i++) {
            const action = randomAction(next, store.state);
            if (!action) continue;
            const before = toText(store.state);
            if (store.state.regions.length + (action.type === "add" ? 1 : store.state.selected.length) > 64) continue;
            store.dispatch(action);
            freeze(store.state);
            if (!action.merge && toText(store.state) !== before) texts.push(toText(store.state));
            assert.doesNotThrow(() => td.data.parse(toText(store.state)));
            assert.ok(store.state.regions.length <= 64);
            assert.equal(new Set(store.state.regions.map(r => r.id)).size, store.state.regions.length);
        }
        const end = toText(store.state);
        let steps = 0;
        while (store.canUndo) { store.undo(); steps++; }
        assert.ok(steps > 100 && steps <= 200);
        while (store.canRedo) store.redo();
        assert.equal(toText(store.state), end);
    }
});

test("undo after an action is the state before it", () => {
    const next = random(9), store = createStore();
    store.dispatch({type: "add", regions: [{prompt: "a"}, {prompt: "b"}]});
    for (let i = 0; i < 500; i++) {
        const action = randomAction(next, store.state);
        if (!action || action.merge) continue;
        const before = toText(store.state), regions = store.state.regions;
        store.dispatch(action);
        if (store.state.regions !== regions && toText(store.state) !== before) {
            store.undo();
            assert.equal(toText(store.state), before);
            store.redo();
        }
    }
});

test("edits with the same key are one step, selections are none", () => {
    const store = createStore();
    store.dispatch({type: "add", regions: [{prompt: ""}]});
    const [{id}] = store.state.regions;
    for (const prompt of ["a", "ab", "abc"]) {
        store.dispatch({type: "edit", ids: [id], fields: {prompt}, merge: "prompt"});
    }
    store.dispatch({type: "select", ids: []});
    store.undo();
    assert.equal(store.state.regions[0].prompt, "");
    store.undo();
    assert.equal(store.state.regions.length, 0);
    assert.ok(!store.canUndo);
    store.undo();
});

test("wrong edits are refused and change nothing", () => {
    const store = createStore();
    store.dispatch({type: "add", regions: [{prompt: "a"}]});
    const before = store.state;
    assert.throws(() => store.dispatch({type: "edit", ids: [before.regions[0].id], fields: {feather: 2}}), /feather/);
    assert.equal(store.state, before);
    assert.throws(() => store.dispatch({type: "fly"}), /unknown action/);
});

test("locked regions are not moved or removed", () => {
    let state = reduce(EMPTY, {type: "add", regions: [{prompt: "a", x: 0.2, w: 0.2}]});
    const [{id}] = state.regions;
    state = reduce(state, {type: "edit", ids: [id], fields: {locked: true}});
    const boxes = {[id]: {x: 0, y: 0, w: 1, h: 1}};
    for (const action of [{type: "nudge", dx: 0.1, dy: 0}, {type: "place", boxes}, {type: "remove"}]) {
        assert.equal(reduce(state, action).regions[0].x, 0.2);
    }
});

test("loading replaces all in one step", () => {
    const store = createStore();
    store.dispatch({type: "add", regions: Array.from({length: 64}, (_, i) => ({prompt: String(i)}))});
    assert.equal(store.state.regions.length, 64);
    const text = '{"regions":[{"prompt":"new","w":0.5}],"fill":"none","rerolls":[{"seed":1}]}';
    store.dispatch({type: "load", document: td.data.parse(text)});
    assert.deepEqual(store.state.regions.map(r => r.prompt), ["new"]);
    assert.equal(store.state.fill, "none");
    assert.equal(JSON.parse(toText(store.state)).rerolls[0].seed, 1);
    store.undo();
    assert.equal(store.state.regions.length, 64);
    let heard = 0;
    const stop = store.subscribe(() => heard++);
    store.redo();
    stop();
    store.undo();
    assert.equal(heard, 1);
});

test("what is selected goes to the front or back together, in its order, in one step", () => {
    const store = createStore();
    store.dispatch({type: "add", regions: ["a", "b", "c", "d"].map(prompt => ({prompt}))});
    const prompts = () => store.state.regions.map(r => r.prompt).join("");
    store.dispatch({type: "select", ids: [1, 3]});
    store.dispatch({type: "front"});
    assert.equal(prompts(), "bdac");
    store.dispatch({type: "back"});
    assert.equal(prompts(), "acbd");
    store.undo();
    store.undo();
    assert.equal(prompts(), "abcd");
});

test("growing moves the right and lower edge alone, of what is not locked", () => {
    const store = createStore();
    const first = {prompt: "a", x: 0.1, y: 0.1, w: 0.2, h: 0.2}, second = {prompt: "b", x: 0.5, y: 0.5, w: 0.2, h: 0.2};
    store.dispatch({type: "add", regions: [first, second]});
    store.dispatch({type: "edit", ids: [2], fields: {locked: true}});
    store.dispatch({type: "select", ids: [1, 2]});
    store.dispatch({type: "grow", dx: 0.1, dy: 2});
    const [a, b] = store.state.regions;
    assert.deepEqual([a.x, a.y, a.w, a.h, b.w, b.h], [0.1, 0.1, 0.3, 0.9, 0.2, 0.2]);
});

test("more than 64 regions are refused, and nothing is half done", () => {
    const store = createStore();
    store.dispatch({type: "add", regions: Array.from({length: 63}, () => ({prompt: "a"}))});
    const before = store.state;
    store.dispatch({type: "select", ids: [1]});
    const boxes = td.layout.columns({x: 0, y: 0, w: 1, h: 1}, [1, 1, 1]);
    for (const action of [{type: "add", regions: [{prompt: "b"}, {prompt: "c"}]}, {type: "split", id: 1, boxes}]) {
        assert.throws(() => store.dispatch(action), /at most 64/);
        assert.equal(store.state.regions, before.regions);
    }
    store.dispatch({type: "duplicate"});
    assert.throws(() => store.dispatch({type: "duplicate"}), /at most 64/);
});

test("splitting is one step, and the pieces are of the region's kind", () => {
    const store = createStore();
    const mask = {polygons: [[[0, 0], [1, 0], [1, 1]]]};
    store.dispatch({type: "add", regions: [{prompt: "a", w: 0.6, feather: 0.5, mask}]});
    store.dispatch({type: "split", id: 1, boxes: td.layout.columns(store.state.regions[0], [1, 2])});
    const pieces = store.state.regions.map(r => [r.x, r.w, r.prompt, r.feather, r.mask]);
    assert.deepEqual(pieces, [[0, 0.2, "a", 0.5, null], [0.2, 0.4, "a", 0.5, null]]);
    store.undo();
    assert.equal(store.state.regions.length, 1);
    assert.ok(store.state.regions[0].mask);
});
