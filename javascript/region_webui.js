"use strict";
// What an editor reads from the WebUI's page, and how it begins there. The only file that knows the WebUI.

/** @implements {Surroundings} */
tiledDiffusion.WebuiPage = class WebuiPage {
    /** The canvas stands among the WebUI's own fields. */
    static #HEIGHT_PX = 460;
    /** @type {Record<string, () => string | null>} */
    pictures;
    #tab;

    /** @param {string} tab */
    constructor(tab) {
        this.#tab = tab;
        const last = () => tiledDiffusion.gradio.image(`#${tab}_gallery img, #${tab}_results img`)?.src || null;
        this.pictures = tab === "img2img" ? {input: () => WebuiPage.inputImage()?.src || null, last} : {last};
    }

    /** The picture that img2img begins with, in the mode that is chosen (img2img, sketch, inpaint). */
    static inputImage() {
        const mode = tiledDiffusion.gradio.shown("#mode_img2img > div:not(.tab-nav)");
        return mode?.querySelector("img") || tiledDiffusion.gradio.image("#img2img_image img");
    }

    size() {
        const {size, rounded} = tiledDiffusion.gradio, asked = size(this.#tab);
        if (this.#tab === "txt2img") return rounded(WebuiPage.#afterHires(asked));
        return rounded(this.#tab === "img2img" ? this.#afterResize(asked) : asked);
    }

    way() {
        if (this.#tab === "img2img") return "img2img";
        return WebuiPage.#hires() ? "hires fix" : "";
    }

    height() {
        return WebuiPage.#HEIGHT_PX;
    }

    /** The seed of the picture that was made last, from its record below the gallery. */
    seed() {
        const {root} = tiledDiffusion.gradio;
        const record = root().querySelector(`#html_info_${this.#tab}, #${this.#tab}_results`)?.textContent || "";
        const match = record.match(/Seed: (\d+)/);
        return match ? Number(match[1]) : null;
    }

    /** @param {string} text */
    translate = text => window.localization?.[text] || text;

    /** Gives a prompt field to the tag-autocomplete extension, where there is one. @param {HTMLTextAreaElement} area */
    onField = area => {
        try {
            window.addAutocompleteToArea?.(area);
        } catch { /* it is there, but has not been set up yet: the next selected region asks again */ }
    };

    /** Whether hires fix is ticked. */
    static #hires() {
        return tiledDiffusion.gradio.valueOf("txt2img_hr-checkbox") === true;
    }

    /** @param {Size} size */
    static #afterHires({width, height}) {
        const number = (/** @type {string} */ name) => Number(tiledDiffusion.gradio.valueOf(`txt2img_hr_${name}`));
        if (!WebuiPage.#hires()) return {width, height};
        const x = number("resize_x") || 0, y = number("resize_y") || 0, scale = number("scale") || 1;
        if (!x && !y) return {width: width * scale, height: height * scale};
        return {width: x || width * y / height, height: y || height * x / width};
    }

    /** @param {Size} size */
    #afterResize(size) {
        const {controls, shown, valueOf} = tiledDiffusion.gradio, own = controls(this.#tab);
        const image = WebuiPage.inputImage(), follows = own.keep_size || shown("#img2img_tab_resize_by");
        const by = own.keep_size ? 1 : Number(valueOf("img2img_scale")) || 1;
        const base = !image?.naturalWidth || !follows ? size
            : {width: image.naturalWidth * by, height: image.naturalHeight * by};
        const factor = own.print_size ? WebuiPage.#printScale(String(own.print_size), Number(own.print_dpi) || 0, base)
            : own.upscaler && own.upscaler !== "None" ? Number(own.upscale_factor) || 1 : 1;
        return {width: base.width * factor, height: base.height * factor};
    }

    /**
     * How many times larger a print needs a picture; 1 where it is none.
     * @param {string} text @param {number} dpi @param {Size} size
     */
    static #printScale(text, dpi, {width, height}) {
        const {papers, units} = tiledDiffusion.table, paper = papers[text.trim().toUpperCase()];
        const match = /^([\d.,]+)\s*[x\u00d7]\s*([\d.,]+)\s*(mm|cm|in)$/.exec(text.trim().toLowerCase());
        if (!paper && !match) return 1;
        const sides = match ? [match[1], match[2]].map(n => Number(n.replace(",", ".")) * units[match[3]])
            : [...paper].sort((a, b) => width > height ? b - a : a - b);
        return Math.max(1, ...sides.map((mm, i) => mm / units.in * dpi / [width, height][i])) || 1;
    }
};

/** What is around the panel of a tab. @param {string} tab @returns {Surroundings} */
tiledDiffusion.around = tab => {
    const {StudioPage, WebuiPage} = tiledDiffusion;
    return tab === StudioPage.TAB ? new StudioPage() : new WebuiPage(tab);
};

tiledDiffusion.webui = new tiledDiffusion.Page(tiledDiffusion.around);

/** Called by the page when a tab's text field has changed. @param {string} tab @param {string} text */
tiledDiffusion.load = (tab, text) => tiledDiffusion.webui.load(tab, text);
if (typeof onUiLoaded === "function") onUiLoaded(() => tiledDiffusion.webui.start());
