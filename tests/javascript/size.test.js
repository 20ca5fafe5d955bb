"use strict";
// The scripts stay small: lines, functions, classes and files have a most; and nothing has the type any.
const test = require("node:test"), assert = require("node:assert/strict");
const fs = require("node:fs"), path = require("node:path");
const ts = require("typescript");

const ROOT = path.join(__dirname, "..", "..");
const MOST = {column: 120, file: 350, class: 150, function: 60};

/** Every file of a folder, with its text. */
function filesOf(folder) {
    const names = fs.readdirSync(path.join(ROOT, folder)).filter(name => /\.(js|d\.ts)$/.test(name));
    return names.map(name => {
        const text = fs.readFileSync(path.join(ROOT, folder, name), "utf8");
        return {name: `${folder}/${name}`, text};
    });
}

/** Every function and class of a file, with its name and its lines. */
function partsOf({name, text}) {
    const source = ts.createSourceFile(name, text, ts.ScriptTarget.Latest, true), parts = [];
    const line = at => source.getLineAndCharacterOfPosition(at).line;
    const visit = node => {
        const kind = ts.isClassLike(node) ? "class" : ts.isFunctionLike(node) && node.body ? "function" : null;
        const lines = line(node.end) - line(node.getStart()) + 1;
        // a file that is one object of functions is a function by its looks alone
        if (kind && !isModule(node)) parts.push({kind, name: `${name}: ${node.name?.getText() || "anonymous"}`, lines});
        ts.forEachChild(node, visit);
    };
    visit(source);
    return parts;
}

/** Whether a function is called where it stands, to give a file's own names a place. */
function isModule(node) {
    const {parent} = node;
    return ts.isArrowFunction(node) && ts.isParenthesizedExpression(parent) && ts.isCallExpression(parent.parent);
}

const SCRIPTS = [...filesOf("javascript"), ...filesOf("types")], TESTS = filesOf("tests/javascript");

test("no line and no file is longer than may be", () => {
    for (const {name, text} of [...SCRIPTS, ...TESTS]) {
        const lines = text.split("\n");
        const long = lines.findIndex(line => line.length > MOST.column);
        assert.equal(long, -1, `${name}:${long + 1} has ${lines[long]?.length} characters`);
        assert.ok(lines.length <= MOST.file, `${name} has ${lines.length} lines`);
    }
});

test("no function and no class is longer than may be", () => {
    const parts = SCRIPTS.flatMap(partsOf);
    assert.ok(parts.length > 300);
    for (const {kind, name, lines} of parts) assert.ok(lines <= MOST[kind], `${name} has ${lines} lines`);
});

test("nothing is any, and every file says what it is for", () => {
    for (const {name, text} of SCRIPTS) assert.doesNotMatch(text, /[{<(|:,]\s*any\b\s*[}>)|\[,;]/, name);
    for (const {name, text} of [...SCRIPTS, ...TESTS]) assert.match(text, /^("use strict";\n)?\/\/ [A-Z].*\./, name);
});
