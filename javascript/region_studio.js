"use strict";
// What an editor reads from the studio's page. The only file that knows it.

/** @implements {Surroundings} */
tiledDiffusion.StudioPage = class StudioPage {
    /** Its panel's tab. */
    static TAB = "studio";
    /** What the canvas's height may be of the window's. */
    static #HEIGHT = 0.66;
    pictures = {last: () => tiledDiffusion.gradio.image("#studio_gallery img")?.src || null};
    /** No other extension is there. */
    onField = null;

    size() {
        const {size, rounded} = tiledDiffusion.gradio;
        return rounded(size(StudioPage.TAB));
    }

    way() {
        return "";
    }

    height() {
        return window.innerHeight * StudioPage.#HEIGHT;
    }

    /** The page does not say it. */
    seed() {
        return null;
    }

    /** The page speaks English. @param {string} text */
    translate = text => text;
};

/** Called by the studio's page as a run goes on. */
tiledDiffusion.studio = (() => {
    /** Shows a run's picture in the canvas, and how many of its tiles are drawn. @param {string} text JSON */
    function show(text) {
        if (!text) return;
        const detail = JSON.parse(text), {TAB} = tiledDiffusion.StudioPage;
        for (const editor of tiledDiffusion.gradio.root().querySelectorAll(`.td-editor[data-tab="${TAB}"]`)) {
            editor.dispatchEvent(new CustomEvent("td-result", {detail}));
        }
    }

    /** Repeats an error beside the field that it names, and takes away what was said of the run before. */
    function mark() {
        const root = tiledDiffusion.gradio.root(), {el} = tiledDiffusion.ui;
        root.querySelectorAll(".td-beside").forEach(node => node.remove());
        root.querySelectorAll("[aria-invalid]").forEach(node => node.removeAttribute("aria-invalid"));
        /** @type {NodeListOf<HTMLElement>} */
        const errors = root.querySelectorAll("[role=alert][data-field]");
        for (const {dataset: {field, prefix}, textContent} of errors) {
            const ids = [`${prefix}${field}`, `td_${tiledDiffusion.StudioPage.TAB}_${field}`];
            const block = ids.map(id => root.querySelector(`#${id}`)).find(Boolean);
            if (!block) continue;
            block.append(el("p", {class: "td-wrong td-beside"}, textContent || ""));
            block.querySelector("input, textarea")?.setAttribute("aria-invalid", "true");
        }
    }

    return {show, mark};
})();
