"use strict";
// Fills the line in the panel that says what the settings cost, whenever one of them changes; and the help's tooltips.

/** The help below a control stands on one line: what is cut off is in its tooltip. */
tiledDiffusion.HelpTips = class HelpTips extends tiledDiffusion.Part {
    static #HELP = ":is([id^=td_], [id^=tvae_]) div";

    constructor() {
        super();
        this.during(signal => tiledDiffusion.gradio.root().addEventListener("pointerover", event => {
            const node = /** @type {HTMLElement} */ (event.target);
            if (!node.matches(HelpTips.#HELP)) return; // before sizes are asked for: that lays out the page anew
            if (node.scrollWidth > node.clientWidth) node.title = node.textContent || "";
        }, {passive: true, signal}));
    }
};

tiledDiffusion.CostLine = class CostLine extends tiledDiffusion.Part {
    static #DELAY_MS = 250;
    static #KINDS = ["input", "change", "click", "drop"];
    /** @type {Record<string, number>} */
    #timers = {};
    /** The size that each tab's figures are of. @type {Record<string, string>} */
    #sizes = {};

    constructor() {
        super();
        this.during(signal => {
            const changed = () => this.#tabs().forEach(tab => this.later(tab));
            for (const kind of CostLine.#KINDS) {
                tiledDiffusion.gradio.root().addEventListener(kind, changed, {passive: true, signal});
            }
        });
        this.include(new tiledDiffusion.HelpTips());
        this.during(() => this.#begin());
        this.during(() => () => Object.values(this.#timers).forEach(timer => window.clearTimeout(timer)));
    }

    /** Asks for the figures of a tab, a little later. @param {string} tab */
    later(tab) {
        if (!this.enabled) return;
        window.clearTimeout(this.#timers[tab]);
        this.#timers[tab] = window.setTimeout(() => this.#refresh(tab), CostLine.#DELAY_MS);
    }

    /** Asks for the figures of tabs whose size is another one now: fields may come to the page after the line. */
    catchUp() {
        for (const tab of this.#tabs()) {
            const asked = this.#sizes[tab];
            if (asked && asked !== CostLine.#sizeOf(tab)) this.later(tab);
        }
    }

    /** @param {string} tab */
    static #sizeOf(tab) {
        return JSON.stringify(tiledDiffusion.around(tab).size());
    }

    /** The panel's controls by name; those that are not there are left out. @param {string} tab */
    controls(tab) {
        return tiledDiffusion.gradio.controls(tab);
    }

    /** The picture that img2img begins with. */
    inputImage() {
        return tiledDiffusion.WebuiPage.inputImage();
    }

    /** Once there are panels, their figures. */
    #begin() {
        let timer = 0;
        const first = () => {
            const tabs = this.#tabs();
            if (tabs.length) tabs.forEach(tab => this.later(tab));
            else timer = window.setTimeout(first, CostLine.#DELAY_MS);
        };
        first();
        return () => window.clearTimeout(timer);
    }

    /** @returns {string[]} The tabs whose panels are on the page now. */
    #tabs() {
        /** @type {NodeListOf<HTMLElement>} */
        const lines = tiledDiffusion.gradio.root().querySelectorAll(".td-status");
        return [...lines].map(line => line.dataset.tab || "");
    }

    /** Asks for the figures of a tab's plan and shows them. @param {string} tab */
    async #refresh(tab) {
        const {root, valueOf, controls} = tiledDiffusion.gradio, line = root().querySelector(`#td_${tab}_status`);
        if (!line) return;
        const around = tiledDiffusion.around(tab), size = around.size();
        this.#sizes[tab] = JSON.stringify(size);
        const kind = {way: around.way(), steps: Number(valueOf(`${tab}_steps`)) || null};
        const settings = valueOf(`td_${tab}_regions`) || "";
        const job = {settings, controls: controls(tab), ...size, fixed_size: true, ...kind};
        const plan = await tiledDiffusion.routes.plan(job).catch(() => null);
        if (!this.enabled) return;
        line.classList.toggle("td-wrong", typeof plan === "string");
        if (!plan || typeof plan === "string") {
            line.textContent = plan || "";
            return;
        }
        const figures = `${size.width} x ${size.height} px: ${plan.text}`;
        line.textContent = [figures, ...plan.more || [], ...plan.problems].join(" · ");
        for (const editor of root().querySelectorAll(`.td-editor[data-tab="${tab}"]`)) {
            editor.dispatchEvent(new CustomEvent("td-plan", {detail: plan}));
        }
    }
};

tiledDiffusion.panel = new tiledDiffusion.CostLine();
