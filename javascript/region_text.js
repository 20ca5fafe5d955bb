"use strict";
// What the prompt fields know about prompts: weights and brackets. No DOM.

tiledDiffusion.text = (() => {
    const STEP = 0.1;

    /**
     * A prompt with the weight of a stretch of it, or of the word at the cursor, changed by a tenth.
     * @param {string} value @param {number} from @param {number} to @param {boolean} up
     * @returns {{value: string, from: number, to: number} | null} the new text and selection; null where no word is
     */
    function weighted(value, from, to, up) {
        if (from === to) {
            from = value.slice(0, from).search(/[^\s,()]*$/);
            to += (value.slice(to).match(/^[^\s,():]*/) || [""])[0].length;
        }
        if (from === to) return null;
        const [before, chosen, after] = [value.slice(0, from), value.slice(from, to), value.slice(to)];
        const open = before.endsWith("(") ? after.match(/^:(-?\d*\.?\d+)\)/) : null;
        const weight = Math.round(((open ? Number(open[1]) : 1) + (up ? STEP : -STEP)) * 100) / 100;
        const left = open ? before.slice(0, -1) : before, right = open ? after.slice(open[0].length) : after;
        const at = left.length + (weight === 1 ? 0 : 1);
        const text = weight === 1 ? left + chosen + right : `${left}(${chosen}:${weight})${right}`;
        return {value: text, from: at, to: at + chosen.length};
    }

    /** Whether every bracket has its partner; "\(" is no bracket. @param {string} words */
    function balanced(words) {
        const open = [];
        for (const c of words.replace(/\\./g, "")) {
            if ("([{".includes(c)) open.push(c);
            if (")]}".includes(c) && open.pop() !== "([{"[")]}".indexOf(c)]) return false;
        }
        return !open.length;
    }

    /** A prompt and its weight, where one is written behind it. @param {string} text */
    function part(text) {
        const match = text.match(/^([^]*?)(?:\s*:\s*([-+]?(?:\d+\.?\d*|\.\d+)))?\s*$/) || ["", text, undefined];
        return {text: match[1].trim(), weight: match[2] === undefined ? 1 : Number(match[2])};
    }

    /**
     * The prompts that a prompt with AND and ENSEMBLE is made of, and how much each counts, as the engine reads it;
     * an ensemble's weights sum to 1.
     * @param {string} prompt
     */
    function parts(prompt) {
        return prompt.split(/\bAND\b/).flatMap(text => {
            const every = text.split(/\bENSEMBLE\b/).map(part);
            if (every.length === 1) return every;
            const total = every.reduce((sum, {weight}) => sum + weight, 0);
            return every.map(({text, weight}) => ({text, weight: total > 0 ? weight / total : 1 / every.length}));
        });
    }

    /** A composition in signs, such as "a cat + 0.5 × a dog"; empty where the prompt is one. @param {string} prompt */
    function composition(prompt) {
        const every = parts(prompt);
        if (every.length === 1 && !/\b(AND|ENSEMBLE)\b/.test(prompt)) return "";
        const round = /** @param {number} weight */ weight => Math.round(weight * 100) / 100;
        return every.map(({text, weight}) => weight === 1 ? text : `${round(weight)} × ${text}`).join(" + ");
    }

    return {weighted, balanced, parts, composition};
})();
