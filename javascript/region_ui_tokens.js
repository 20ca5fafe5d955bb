"use strict";
// How long a region's prompts are, asked of the server a little after the last key.

tiledDiffusion.TokenCounter = class TokenCounter extends tiledDiffusion.Part {
    static #DELAY_MS = 400;
    #timer = 0;
    /** The texts that were asked for last, as JSON. */
    #asked = "";
    #count;
    #show;

    /** @param {EditorHost["tokens"]} count @param {(counts: [number, number][]) => void} show */
    constructor(count, show) {
        super();
        this.#count = count;
        this.#show = show;
        this.during(() => () => {
            window.clearTimeout(this.#timer);
            this.#asked = "";
        });
    }

    /** @param {string[]} texts */
    ask(texts) {
        const key = JSON.stringify(texts), count = this.#count;
        if (!count || key === this.#asked) return;
        this.#asked = key;
        window.clearTimeout(this.#timer);
        this.#timer = window.setTimeout(async () => {
            const counts = await count(texts).catch(() => null);
            if (counts && this.#asked === key) this.#show(counts);
        }, TokenCounter.#DELAY_MS);
    }
};
