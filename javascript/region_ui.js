"use strict";
// What the editor's parts share: how they make elements, and what they know of each other.

/** @typedef {{size: () => {width: number, height: number}, unit: () => number, translate: (text: string) => string,
 *   pictures: Record<string, () => string | null>, presets: any, seed: () => number | null, controlnet: boolean,
 *   tokens: ((texts: string[]) => Promise<[number, number][]>) | null, onField: ((area: HTMLTextAreaElement) => void) | null}} EditorHost */
/** @typedef {{store: any, host: EditorHost, t: (text: string) => string, signal: AbortSignal, root: HTMLElement,
 *   canvas: any, shapes: any, list: any, fields: any, bar: any, say: (words: string) => void, told: (act: () => any) => Promise<void>,
 *   one: () => EditorRegion | null, select: (id: number, more: boolean) => void, add: (regions: any[]) => void}} Editor */

tiledDiffusion.ui = (() => {
    /**
     * An element with attributes, listeners (keys "on...") and children; texts are always text.
     * @param {string} tag @param {Record<string, any>} [attributes] @param {...(Node | string)} children
     * @returns {any}
     */
    function el(tag, attributes = {}, ...children) {
        const node = document.createElement(tag);
        for (const [key, value] of Object.entries(attributes)) {
            if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
            else if (value === true) node.setAttribute(key, "");
            else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, String(value));
        }
        node.append(...children);
        return node;
    }

    /**
     * Makes buttons whose hints are translated.
     * @param {(text: string) => string} t
     * @returns {(label: string, hint: string, act: () => void, more?: Record<string, any>) => any}
     */
    function buttons(t) {
        return (label, hint, act, more = {}) => el("button", {type: "button", title: t(hint), "aria-label": t(hint), onclick: act, ...more}, label);
    }

    /** Puts an element where a box is. @param {HTMLElement} node @param {Box} box in fractions */
    function put(node, box) {
        node.style.left = `${box.x * 100}%`;
        node.style.top = `${box.y * 100}%`;
        node.style.width = `${box.w * 100}%`;
        node.style.height = `${box.h * 100}%`;
    }

    /** What a region is called. @param {Region} region @param {number} n */
    function title(region, n) {
        return `${n + 1} ${region.name || region.prompt.slice(0, 40)}`;
    }

    /** Gives children an order, moving as few as possible, so that the focus stays. @param {HTMLElement} parent @param {HTMLElement[]} nodes */
    function ordered(parent, nodes) {
        nodes.forEach((node, i) => { if (parent.children[i] !== node) parent.insertBefore(node, parent.children[i] || null); });
    }

    return {el, buttons, put, title, ordered};
})();
