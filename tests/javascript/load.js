"use strict";
// Loads the scripts as the WebUI does: all of them, sorted by name, in one global scope.
const fs = require("node:fs"), path = require("node:path"), vm = require("node:vm");

const folder = path.join(__dirname, "..", "..", "javascript");
const before = new Set(Object.getOwnPropertyNames(globalThis));
globalThis.window = globalThis;
for (const name of fs.readdirSync(folder).filter(n => n.endsWith(".js")).sort()) {
    const file = path.join(folder, name);
    vm.runInThisContext(fs.readFileSync(file, "utf8"), {filename: file});
}
const added = Object.getOwnPropertyNames(globalThis).filter(n => !before.has(n) && n !== "window");

/** Numbers from a seed, the same on every machine. */
function random(seed) {
    let s = seed >>> 0;
    return () => {
        s = (s + 0x6d2b79f5) >>> 0;
        let t = Math.imul(s ^ (s >>> 15), 1 | s);
        t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
}

module.exports = {td: globalThis.tiledDiffusion, added, random};
