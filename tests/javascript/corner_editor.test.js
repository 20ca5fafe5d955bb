"use strict";
// The editor of a frame's corners: what it asks the server, and what it writes into the page's field.
const test = require("node:test"), assert = require("node:assert/strict");
const {Element, eventAt} = require("./page.js");
const {td} = require("./load.js");

const SEEN = {corners: [[0.1, 0.1], [0.8, 0.2], [0.9, 0.9], [0.2, 0.8]], flat: "data:flat", shape: 1.5, told: true};

/** What comes later has come. */
const settled = () => new Promise(resolve => setImmediate(resolve));

/** An editor on a page with a photo; its questions to the server wait to be answered. */
function opened() {
    const page = {photo: {src: "a.png"}, field: new Element("textarea"), rects: [{}], asked: []};
    page.container = new Element("div");
    page.container.getClientRects = () => page.rects;
    Object.assign(page.container.dataset, {carrier: "carrier", photo: "#photo img"});
    Object.assign(td.gradio, {image: () => page.photo, root: () => ({querySelector: () => page.field})});
    td.routes.frame = question => new Promise((answer, fail) => page.asked.push({question, answer, fail}));
    page.editor = new td.CornerEditor(page.container, text => text);
    page.editor.enable();
    const [columns, status] = page.container.children, [stage, front] = columns.children;
    const [photo, , ...handles] = stage.children, [flat, bar] = front.children;
    Object.assign(photo, {naturalWidth: 100, naturalHeight: 100});
    return {...page, page, status, photo, handles, flat, find: bar.children[0], take() {
        page.editor.refresh();
        photo.onload?.();
    }};
}

/** One of the corners goes ten pixels to the right. */
const move = handle => handle.dispatchEvent(eventAt(handle, "keydown", {key: "ArrowRight", shiftKey: true}));

test("what is found is written and shown", async () => {
    const {asked, field, flat, status, take} = opened();
    take();
    assert.equal(asked[0].question.corners, null);
    asked[0].answer(SEEN);
    await settled();
    assert.deepEqual(JSON.parse(field.value), SEEN.corners);
    assert.equal(flat.src, SEEN.flat);
    assert.match(status.textContent, /This is what was found/);
});

test("where nothing is found, no corners are written, and the page says why", async () => {
    const {asked, field, flat, status, handles, page, take} = opened();
    take();
    asked[0].fail(new Error("corners: no frame is seen"));
    await settled();
    assert.equal(asked.length, 1);
    assert.equal(field.value, "");
    assert.equal(status.textContent, "corners: no frame is seen");
    assert.ok(status.classList.contains("td-wrong"));
    move(handles[0]);
    assert.deepEqual(JSON.parse(field.value)[0], [0.35, 0.25]);
    asked[1].answer({...SEEN, corners: asked[1].question.corners});
    await settled();
    assert.equal(flat.src, SEEN.flat);
    page.photo = {src: "b.png"};
    take();
    assert.deepEqual([field.value, flat.attributes.src], ["", undefined]);
});

test("corners by hand stay where a later search fails", async () => {
    const {asked, field, handles, find, take} = opened();
    take();
    asked[0].answer(SEEN);
    await settled();
    move(handles[2]);
    const own = field.value;
    asked[1].answer(SEEN);
    await settled();
    find.dispatchEvent(new Event("click"));
    asked[2].fail(new Error("no"));
    await settled();
    assert.equal(field.value, own);
});

test("a corner that was moved during a search stays where it was put", async () => {
    const {asked, field, handles, status, take} = opened();
    take();
    move(handles[0]);
    const own = JSON.parse(field.value);
    assert.deepEqual(own[0], [0.35, 0.25]);
    asked[0].answer(SEEN);
    await settled();
    assert.deepEqual(JSON.parse(field.value), own);
    assert.deepEqual(asked[1].question.corners, own);
    asked[1].answer({...SEEN, corners: own});
    await settled();
    assert.deepEqual(JSON.parse(field.value), own);
    assert.doesNotMatch(status.textContent, /found/);
    assert.equal(asked.length, 2);
});

test("an answer about a photo that has gone says nothing, and the new one is looked at", async () => {
    const {asked, field, status, page, photo, take} = opened();
    let sent = 0;
    td.CornerHandles.prototype.picture = () => `data:${++sent}`;
    take();
    page.photo = {src: "b.png"};
    take();
    page.editor.look();
    asked[0].fail(new Error("of the old one"));
    await settled();
    assert.doesNotMatch(status.textContent, /of the old one/);
    assert.deepEqual([asked[1].question.corners, asked[1].question.picture], [null, "data:2"]);
    asked[1].answer(SEEN);
    await settled();
    assert.deepEqual(JSON.parse(field.value), SEEN.corners);
    assert.equal(photo.src, "b.png");
});

test("an editor that nobody sees asks nothing and writes nothing", () => {
    const {asked, field, page, take} = opened();
    page.rects = [];
    field.value = "as it was";
    take();
    assert.deepEqual([asked.length, field.value], [0, "as it was"]);
    page.rects = [{}];
    take();
    assert.deepEqual([asked.length, field.value], [1, ""]);
});
