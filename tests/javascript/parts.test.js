"use strict";
// Every part of the page can be enabled and disabled: nothing listens before or afterwards.
const test = require("node:test"), assert = require("node:assert/strict");
const {Element, body, going, passes, eventAt, host} = require("./page.js");
const {td} = require("./load.js");

const NOTHING = {listeners: 0, observers: 0, frames: 0, timers: 0};

/** A store that counts who is told of changes. */
function countedStore() {
    const store = td.store.createStore(), subscribe = store.subscribe.bind(store);
    store.told = 0;
    store.subscribe = listener => {
        store.told++;
        const stop = subscribe(listener);
        return () => {
            store.told--;
            stop();
        };
    };
    return store;
}

/** A part, and all that it is made of. */
function withParts(part) {
    return [part, ...part.parts.flatMap(withParts)];
}

function nameOf(part) {
    return part.constructor.name;
}

const store = countedStore();
const editor = new td.Editor(new Element("div"), store, host({tokens: async () => [[1, 75], [0, 75]]}));
const corners = new Element("div"), cornerEditor = new td.CornerEditor(corners, text => text);
const PARTS = [...withParts(editor), ...withParts(cornerEditor)];

/** What the classes of parts share, and parts that have tests of their own below. */
const BASES = ["Part", "Widget", "ToolGroup", "Field"], PAGE = ["Mount", "Page", "CostLine", "HelpTips", "CornerPage"];
/** Parts that hold something while they are enabled, but listen to nothing. */
const SILENT = ["ReferencePicture", "TokenCounter", "Sketch", "ShapeEasel"];

test("the table below is of all parts", () => {
    const classes = Object.values(td).filter(value => value === td.Part || value.prototype instanceof td.Part);
    const others = classes.map(value => value.name).filter(name => ![...BASES, ...PAGE].includes(name));
    assert.deepEqual([...new Set(PARTS.map(nameOf))].sort(), others.sort());
});

for (const part of PARTS) {
    test(`${nameOf(part)}: nothing listens before it is enabled and after it is disabled`, () => {
        assert.deepEqual([going(), store.told], [NOTHING, 0]);
        part.enable();
        const enabled = [going(), store.told];
        part.enable();
        assert.deepEqual([going(), store.told], enabled, "enabled twice");
        assert.ok(enabled[0].listeners + enabled[1] > 0 || SILENT.includes(nameOf(part)));
        part.disable();
        assert.deepEqual([going(), store.told], [NOTHING, 0]);
        part.enable();
        assert.deepEqual([going(), store.told], enabled, "enabled again");
        part.disable();
        part.disable();
        assert.deepEqual([going(), store.told], [NOTHING, 0]);
    });
}

test("a change after the editor was disabled is drawn when it is enabled again, and not before", () => {
    store.dispatch({type: "add", regions: [{prompt: "a house"}]});
    assert.deepEqual(going(), NOTHING);
    editor.enable();
    const list = editor.parts.find(part => nameOf(part) === "RegionList").node;
    assert.deepEqual(list.children.map(row => row.children[1].textContent), ["1 a house"]);
    editor.disable();
    store.dispatch({type: "add", regions: [{prompt: "a tree"}]});
    assert.equal(list.children.length, 1);
});

test("a corner moves by keys, one pixel or ten, and the page is told", t => {
    const field = new Element("textarea"), told = t.mock.method(globalThis, "updateInput", () => {});
    t.mock.method(td.gradio, "root", () => ({querySelector: () => field}));
    t.mock.method(td.routes, "frame", async () => ({corners: [], flat: "", shape: 1, told: true}));
    cornerEditor.enable();
    const [photo, , first] = cornerEditor.parts[0].node.children;
    Object.assign(photo, {naturalWidth: 100, naturalHeight: 50});
    first.dispatchEvent(eventAt(first, "keydown", {key: "ArrowRight"}));
    first.dispatchEvent(eventAt(first, "keydown", {key: "ArrowUp", shiftKey: true}));
    assert.deepEqual(JSON.parse(field.value), [[0.26, 0.05], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]);
    assert.equal(told.mock.callCount(), 2);
    cornerEditor.disable();
    first.dispatchEvent(eventAt(first, "keydown", {key: "ArrowRight"}));
    assert.equal(told.mock.callCount(), 2);
    assert.equal(corners.children.length, 0);
});

test("corner editors are looked for while their page is enabled", () => {
    td.cornerPage.enable();
    assert.deepEqual(going(), {listeners: 1, observers: 1, frames: 0, timers: 1});
    td.cornerPage.disable();
    assert.deepEqual(going(), NOTHING);
});

test("soft edges are drawn once a frame, however often the state changes", t => {
    const own = td.store.createStore(), edges = new td.SoftEdges(own, host());
    const draw = t.mock.method(td.paint, "draw", () => {});
    edges.enable();
    for (const prompt of ["a", "b", "c"]) own.dispatch({type: "add", regions: [{prompt}]});
    passes.frame();
    assert.deepEqual(draw.mock.calls.map(call => call.arguments[1].length), [3]);
    edges.disable();
    edges.later();
    assert.deepEqual(going(), NOTHING);
});

test("the tokens of the last text are asked for while the editor is there, and not afterwards", () => {
    const asked = [];
    const counter = new td.TokenCounter(async texts => { asked.push(texts); return [[1, 75], [0, 75]]; }, () => {});
    counter.enable();
    counter.ask(["a", ""]);
    counter.ask(["a house", ""]);
    passes.time();
    counter.ask(["a tree", ""]);
    counter.disable();
    passes.time();
    assert.deepEqual(asked, [["a house", ""]]);
});

test("stopping the page takes everything off it, and starting begins anew", () => {
    const container = new Element("div");
    container.dataset.tab = "txt2img";
    body.append(container);
    for (let i = 0; i < 2; i++) {
        assert.deepEqual(going(), NOTHING);
        td.webui.start();
        assert.deepEqual(Object.keys(td.editors), ["txt2img"]);
        assert.equal(container.children.length, 1);
        assert.ok(going().listeners > 20 && going().observers === 3, JSON.stringify(going()));
        td.webui.stop();
        assert.deepEqual(going(), NOTHING);
        assert.deepEqual([Object.keys(td.editors), container.children.length], [[], 0]);
    }
    container.remove();
});

test("a container that comes later gets an editor, which takes the place of the tab's former one", () => {
    const [first, second] = [new Element("div"), new Element("div")];
    for (const container of [first, second]) container.dataset.tab = "img2img";
    body.append(first);
    td.webui.start();
    const before = going().listeners;
    first.remove();
    body.append(second);
    passes.change();
    passes.time();
    assert.equal(going().listeners, before);
    assert.deepEqual([first.children.length, second.children.length], [0, 1]);
    td.webui.stop();
    second.remove();
    assert.deepEqual(going(), NOTHING);
});

test("a tab's surroundings are the studio's or the WebUI's", () => {
    for (const [tab, page, pictures] of [
        ["studio", td.StudioPage, ["last"]], ["txt2img", td.WebuiPage, ["last"]],
        ["img2img", td.WebuiPage, ["input", "last"]],
    ]) {
        const around = td.around(tab);
        assert.ok(around instanceof page);
        assert.deepEqual(Object.keys(around.pictures), pictures);
        assert.deepEqual([around.size(), around.seed(), around.translate("a")], [{width: 512, height: 512}, null, "a"]);
    }
});

test("the canvas asks the tool in hand, in fractions, and draws boxes where there is none", () => {
    const told = [], tool = {
        active: true, down: (_, at) => told.push(["down", at]) > 0, move: (_, at) => told.push(["move", at]),
        up: () => told.push(["up"]), cancel: () => told.push(["cancel"]), doubleClick: () => told.push(["double"]),
    };
    const stage = new td.Stage(new Element("div"), host()), drawn = [], own = td.store.createStore();
    const canvas = {store: own, boxes: {put() {}, render() {}}, add: boxes => drawn.push(...boxes)};
    const pointer = new td.CanvasPointer(stage, new td.DragTraces(), canvas, tool, host());
    const send = (type, clientX, clientY) => stage.node.dispatchEvent(
        eventAt(stage.surface, type, {pointerId: 1, button: 0, clientX, clientY, ctrlKey: true}));
    pointer.enable();
    send("pointerdown", 128, 64);
    send("pointermove", 256, 64);
    assert.ok(pointer.dragging);
    send("pointerup", 256, 64);
    assert.ok(!pointer.dragging);
    send("dblclick", 256, 64);
    assert.deepEqual(told, [["down", {x: 0.25, y: 0.25}], ["move", {x: 0.5, y: 0.25}], ["up"], ["double"]]);
    send("pointerdown", 128, 64);
    assert.ok(pointer.cancel());
    assert.deepEqual(told.at(-1), ["cancel"]);
    assert.ok(!pointer.cancel());
    tool.active = false;
    own.dispatch({type: "add", regions: [{prompt: "a", x: 0.2, w: 0.2}, {prompt: "b", x: 0.8, w: 0.2}]});
    send("pointerdown", 64, 0);
    send("pointermove", 256, 128);
    send("pointerup", 256, 128);
    assert.deepEqual([own.state.selected, drawn], [[1], []]);
    pointer.disable();
});

test("each key does one thing", () => {
    const did = [], note = name => (...given) => { did.push([name, ...given]); return false; };
    const commands = new Proxy({}, {get: (_, name) => note(name)});
    const pointer = {cancel: note("cancel"), space: note("space")}, root = new Element("div");
    const keys = new td.Keyboard(root, commands, {zoomBy: note("zoomBy")}, {key: key => key === "Tab"}, pointer);
    keys.enable();
    const press = (key, fields = {}, target = root) => {
        did.length = 0;
        const event = eventAt(target, "keydown", {key, ...fields});
        root.dispatchEvent(event);
        return [...did, event.defaultPrevented];
    };
    const control = {ctrlKey: true};
    for (const [key, fields, ...expected] of [
        ["Delete", {}, ["remove"], true], ["Backspace", {}, ["remove"], true], ["PageUp", {}, ["toFront"], true],
        ["PageDown", {}, ["toBack"], true], ["n", {}, ["addInTheMiddle"], true], ["Enter", {}, ["write"], true],
        ["Escape", {}, ["cancel"], ["selectNone"], true], ["+", {}, ["zoomBy", 1.25], true],
        ["ArrowLeft", {}, ["step", "nudge", -8, 0], true],
        ["ArrowDown", {shiftKey: true}, ["step", "nudge", 0, 80], true],
        ["ArrowUp", control, ["step", "grow", 0, -8], true], ["d", control, ["duplicate"], true],
        ["A", control, ["selectAll"], true], ["z", control, ["cancel"], ["undo"], true], ["y", control, ["redo"], true],
        ["Z", {metaKey: true, shiftKey: true}, ["cancel"], ["redo"], true], ["Tab", {}, true], ["q", {}, false],
        ["Delete", {altKey: true}, false], [" ", {}, ["space", true], true],
    ]) assert.deepEqual(press(key, fields), expected, key);
    const button = new Element("button"), input = new Element("input");
    assert.deepEqual([press("Delete", {}, button), press("z", control, input)], [[false], [false]]);
    assert.deepEqual(press("z", control, button), [["cancel"], ["undo"], true]);
    keys.disable();
    assert.deepEqual(press("Delete"), [false]);
});
