"use strict";
// Reads components of the page: the panel's own, and what lies around it. Knows gradio, but not whose page it is.

tiledDiffusion.gradio = (() => {
    const CONTROLS = tiledDiffusion.table.controls;
    /** Sizes are multiples of it. */
    const UNIT_PX = 8;
    const SIDE_PX = 512;

    /** @returns {Document | ShadowRoot} */
    function root() {
        return typeof gradioApp === "function" ? gradioApp() : document;
    }

    /** The value of a component: a number, text or tick. @param {string} id @returns {ControlValue | null} */
    function valueOf(id) {
        const box = root().querySelector(`#${id}`);
        if (!box) return null;
        const input = (/** @type {string} */ selector) =>
            /** @type {HTMLInputElement | null} */ (box.querySelector(selector));
        const tick = input("input[type=checkbox]");
        if (tick) return tick.checked;
        const chosen = input("input[type=radio]:checked");
        if (chosen) return chosen.value;
        const typed = input("input[type=number]") || input("textarea, input");
        if (!typed) return null;
        return typed.type === "number" ? Number(typed.value) : typed.value;
    }

    /**
     * What `fill` has set fields to, and what they held before, by id.
     * @type {Map<string, {set: string, before: string}>}
     */
    const filled = new Map();

    /**
     * Sets number fields of the page, as if typed.
     * @param {string} text JSON: numbers by their elements' ids; null: what was there before, unless typed over
     */
    function fill(text) {
        const values = /** @type {Record<string, number | null>} */ (JSON.parse(text || "{}"));
        for (const [id, value] of Object.entries(values)) {
            const selector = `#${id} input[type=number]`;
            const field = /** @type {HTMLInputElement | null} */ (root().querySelector(selector));
            if (!field) continue;
            const known = filled.get(id), before = known?.set === field.value ? known.before : field.value;
            filled.delete(id);
            if (value !== null) filled.set(id, {set: String(value), before});
            const next = value === null ? before : String(value);
            if (next === field.value) continue;
            field.value = next;
            for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, {bubbles: true}));
        }
    }

    /** The panel's controls by name; those that are not there are left out. @param {string} tab */
    function controls(tab) {
        /** @type {Record<string, ControlValue>} */
        const values = {};
        for (const name of CONTROLS) {
            const value = valueOf(`td_${tab}_${name}`);
            if (value !== null && value !== "") values[name] = value;
        }
        return values;
    }

    /** The text field that carries a tab's regions. @param {string} tab */
    function carrier(tab) {
        const selector = `#td_${tab}_regions textarea, #td_${tab}_regions input`;
        return /** @type {HTMLTextAreaElement | HTMLInputElement | null} */ (root().querySelector(selector));
    }

    /** @param {string} selector @returns {HTMLElement | undefined} The one that is shown. */
    function shown(selector) {
        const nodes = /** @type {HTMLElement[]} */ ([...root().querySelectorAll(selector)]);
        return nodes.find(node => getComputedStyle(node).display !== "none");
    }

    /** @param {string} selector @returns {HTMLImageElement | null} */
    function image(selector) {
        return root().querySelector(selector);
    }

    /** The picture's size as a tab's own fields and the panel say, in pixels. @param {string} tab @returns {Size} */
    function size(tab) {
        const own = controls(tab);
        const side = (/** @type {"width" | "height"} */ name) =>
            Number(own[name] || valueOf(`${tab}_${name}`)) || SIDE_PX;
        return {width: side("width"), height: side("height")};
    }

    /** @param {Size} size @returns {Size} */
    function rounded({width, height}) {
        return {width: Math.round(width / UNIT_PX) * UNIT_PX, height: Math.round(height / UNIT_PX) * UNIT_PX};
    }

    return {fill, root, valueOf, controls, carrier, shown, image, size, rounded};
})();
