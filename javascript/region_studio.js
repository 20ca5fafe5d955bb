"use strict";
// What an editor reads from the studio's page. The only file that knows it.

/** @implements {Surroundings} */
tiledDiffusion.StudioPage = class StudioPage {
    /** Its panel's tab. */
    static TAB = "studio";
    pictures = {last: () => tiledDiffusion.gradio.image("#studio_gallery img")?.src || null};
    /** No other extension is there. */
    onField = null;

    size() {
        const {size, rounded} = tiledDiffusion.gradio;
        return rounded(size(StudioPage.TAB));
    }

    /** The page does not say it. */
    seed() {
        return null;
    }

    /** The page speaks English. @param {string} text */
    translate = text => text;
};
