"use strict";
// What is read from components of the page, and written into them.
const test = require("node:test"), assert = require("node:assert/strict");
const {Element} = require("./page.js");
const {td} = require("./load.js");

/** Puts number fields and ticks on a page, by their components' ids. */
function shown(numbers, ticks = {}) {
    const fields = {};
    for (const [id, value] of Object.entries(numbers)) {
        fields[id] = new Element("input");
        Object.assign(fields[id], {type: "number", value: String(value), told: []});
        for (const kind of ["input", "change"]) fields[id].addEventListener(kind, () => fields[id].told.push(kind));
    }
    const box = id => ({querySelector: selector => selector.includes("checkbox") && id in ticks ? {checked: ticks[id]}
        : selector.includes("number") ? fields[id] : null});
    globalThis.gradioApp = () => ({querySelector: selector => {
        const [id, inner] = selector.slice(1).split(" ");
        return inner ? fields[id] || null : id in fields || id in ticks ? box(id) : null;
    }});
    return fields;
}

test("numbers are filled in as if typed, and given back as they were", () => {
    const {steps, strength} = shown({steps: 33, strength: 0.75});
    td.gradio.fill(JSON.stringify({steps: 8, strength: 0.35, gone: 1}));
    assert.deepEqual([steps.value, strength.value], ["8", "0.35"]);
    assert.deepEqual(steps.told, ["input", "change"]);
    td.gradio.fill(JSON.stringify({steps: 8}));
    td.gradio.fill(JSON.stringify({steps: null, strength: 0.5}));
    assert.deepEqual([steps.value, strength.value], ["33", "0.5"]);
    td.gradio.fill(JSON.stringify({steps: null}));
    assert.equal(steps.value, "33");
});

test("what was typed since stays", () => {
    const {steps} = shown({steps: 20});
    td.gradio.fill(JSON.stringify({steps: 8}));
    steps.value = "12";
    td.gradio.fill(JSON.stringify({steps: null}));
    assert.equal(steps.value, "12");
    td.gradio.fill("");
    assert.equal(steps.value, "12");
});

test("of what a job is a part", () => {
    shown({}, {"txt2img_hr-checkbox": true});
    assert.deepEqual(["txt2img", "img2img", "studio"].map(tab => td.around(tab).way()), ["hires fix", "img2img", ""]);
    shown({}, {"txt2img_hr-checkbox": false});
    assert.equal(td.around("txt2img").way(), "");
});
