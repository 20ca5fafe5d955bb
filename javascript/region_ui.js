"use strict";
// What the editor's parts share: how they make elements.

tiledDiffusion.ui = (() => {
    /**
     * An element with attributes and children; texts are always text.
     * @template {keyof HTMLElementTagNameMap} K
     * @param {K} tag @param {Attributes} [attributes] @param {...(Node | string)} children
     * @returns {HTMLElementTagNameMap[K]}
     */
    function el(tag, attributes = {}, ...children) {
        const node = document.createElement(tag);
        for (const [key, value] of Object.entries(attributes)) {
            if (value === true) node.setAttribute(key, "");
            else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, String(value));
        }
        node.append(...children);
        return node;
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
        return `${n + 1} ${region.name || region.prompt.slice(0, 40) || file(region.picture)}`;
    }

    /** What a picture is called: its file's name, nothing where it came as data. @param {string | null} picture */
    function file(picture) {
        return picture && !picture.startsWith("data:") ? picture.replace(/^.*[/\\]/, "").slice(0, 40) : "";
    }

    /**
     * Gives children an order, moving as few as possible, so that the focus stays.
     * @param {HTMLElement} parent @param {HTMLElement[]} nodes
     */
    function ordered(parent, nodes) {
        nodes.forEach((node, i) => {
            if (parent.children[i] !== node) parent.insertBefore(node, parent.children[i] || null);
        });
    }

    /** Whether the focus is in an element, in a shadow tree too. @param {HTMLElement} node */
    function hasFocus(node) {
        return node.contains(/** @type {Document | ShadowRoot} */ (node.getRootNode()).activeElement);
    }

    return {el, put, title, ordered, hasFocus};
})();

/** A part that shows words: in the page's language. */
tiledDiffusion.Widget = class Widget extends tiledDiffusion.Part {
    /** @param {Translate} t */
    constructor(t) {
        super();
        this.t = t;
    }

    /**
     * A button that does something while the part is enabled.
     * @protected @param {string | Node} label @param {string} hint @param {() => void} act
     * @param {Attributes} [more]
     */
    button(label, hint, act, more = {}) {
        const words = this.t(hint), {el} = tiledDiffusion.ui;
        const node = el("button", {type: "button", title: words, "aria-label": words, ...more}, label);
        this.on(node, "click", act);
        return node;
    }
};
