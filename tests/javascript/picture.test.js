"use strict";
// Pictures as regions: what is kept of them in the state, and what they are called.
const test = require("node:test"), assert = require("node:assert/strict");
require("./page.js");
const {td} = require("./load.js");

const DATA = "data:image/png;base64,AAAA";

function stored(...regions) {
    const store = td.store.createStore();
    store.dispatch({type: "add", regions});
    return store;
}

test("a picture is kept as it is, and written with what differs from the defaults", () => {
    const store = stored({prompt: "", picture: DATA, keep: 0.5});
    assert.deepEqual(JSON.parse(td.store.toText(store.state)).regions, [
        {prompt: "", x: 0, y: 0, w: 1, h: 1, picture: DATA, keep: 0.5},
    ].map(({x, y, w, h, ...rest}) => rest));
    store.dispatch({type: "edit", ids: [1], fields: {picture: null}});
    assert.equal(store.single.picture, null);
    store.undo();
    assert.equal(store.single.picture, DATA);
});

test("wrong fields of pictures are refused, and nothing changes", () => {
    const store = stored({prompt: "", picture: DATA});
    for (const fields of [{keep: 2}, {fit: "tile"}, {flip: 1}, {picture: 3}]) {
        assert.throws(() => store.dispatch({type: "edit", ids: [1], fields}), td.data.DataError);
    }
    assert.deepEqual([store.single.keep, store.single.fit], [0.8, "cover"]);
});

test("a picture is called by its name, its prompt or its file", () => {
    for (const [fields, title] of [
        [{name: "mine"}, "1 mine"], [{prompt: "a house", picture: "a/b.png"}, "1 a house"],
        [{picture: "a/b.png"}, "1 b.png"], [{picture: "C:\\a\\b.png"}, "1 b.png"], [{picture: DATA}, "1 "],
    ]) assert.equal(td.ui.title({...td.data.DEFAULTS, ...fields}, 0), title);
});

test("a dropped file goes into the selected picture, and nowhere where none is selected", () => {
    const store = stored({prompt: "a"}, {prompt: "", picture: DATA}), told = [];
    const host = {translate: text => text, pictures: {}, size: () => ({width: 512, height: 256})};
    const pictures = new td.RegionPictures(store, host, {say() {}, told: act => told.push(act)});
    const file = {type: "image/png", size: 3};
    for (const [ids, expected] of [[[], false], [[1], false], [[1, 2], false], [[2], true]]) {
        store.dispatch({type: "select", ids});
        assert.equal(pictures.replace(file), expected);
    }
    assert.equal(pictures.replace({type: "text/plain"}), false);
    store.dispatch({type: "edit", ids: [2], fields: {locked: true}});
    assert.equal(pictures.replace(file), false);
    assert.equal(told.length, 1);
});
