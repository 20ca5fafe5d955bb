"use strict";
// Weights and brackets of prompts.
const test = require("node:test"), assert = require("node:assert/strict");
const {td} = require("./load.js");
const {weighted, balanced, parts, composition} = td.text;

test("weights of words and of what is selected", () => {
    const cases = [
        ["red house", 9, 9, true, "red (house:1.1)"], ["red (house:1.1)", 5, 10, true, "red (house:1.2)"],
        ["red (house:1.1)", 5, 10, false, "red house"], ["red house", 0, 9, false, "(red house:0.9)"],
        ["a, b", 1, 1, true, "(a:1.1), b"], ["(house:0.95)", 1, 6, true, "(house:1.05)"],
        ["(house:0)", 1, 6, false, "(house:-0.1)"], ["(house:-0.1)", 1, 6, false, "(house:-0.2)"],
        ["(house:1.2.3)", 1, 6, true, "((house:1.1):1.2.3)"],
    ];
    for (const [value, from, to, up, expected] of cases) assert.equal(weighted(value, from, to, up).value, expected);
    assert.equal(weighted("a , b", 2, 2, true), null);
});

test("up and down again is what it was, with the same selection", () => {
    const up = weighted("a tall red house, hills", 7, 16, true), down = weighted(up.value, up.from, up.to, false);
    assert.deepEqual(down, {value: "a tall red house, hills", from: 7, to: 16});
});

test("brackets", () => {
    for (const fine of ["", "a (b:1.1), [c:d:0.5] {e}", "\\( \\)", "((a))"]) assert.ok(balanced(fine), fine);
    for (const wrong of ["(", "a)", "(a]", "[(a])", "\\(a)"]) assert.ok(!balanced(wrong), wrong);
});

test("compositions are read as the engine reads them", () => {
    const cases = [
        ["a house", "", [1]], ["a cat AND a dog :0.5", "a cat + 0.5 × a dog", [1, 0.5]],
        ["a cat ENSEMBLE a dog :3", "0.25 × a cat + 0.75 × a dog", [0.25, 0.75]],
        ["a AND b ENSEMBLE c AND d:-0.5", "a + 0.5 × b + 0.5 × c + -0.5 × d", [1, 0.5, 0.5, -0.5]],
        ["a :0 ENSEMBLE b :0", "0.5 × a + 0.5 × b", [0.5, 0.5]], ["a BAND of (red:1.2)", "", [1]],
    ];
    for (const [prompt, text, weights] of cases) {
        assert.equal(composition(prompt), text);
        assert.deepEqual(parts(prompt).map(({weight}) => weight), weights);
    }
});
