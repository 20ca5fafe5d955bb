"use strict";
// Puts editors into the page's containers, and carries their state to and from the panels' text fields.

/** One tab's editor. */
tiledDiffusion.Mount = class Mount extends tiledDiffusion.Part {
    static #KEY = "tiled-diffusion-";
    /** The regions that the page's field and the editor agree on, as text. */
    #sent = "";
    /** Whether a draft was taken over, and nobody has done anything since. */
    #drafted = false;
    #unit = 8;
    #tab;
    #around;

    /** @param {HTMLElement} container @param {string} tab @param {Surroundings} around */
    constructor(container, tab, around) {
        super();
        this.#tab = tab;
        this.#around = around;
        this.store = tiledDiffusion.store.createStore();
        this.on(container, "td-plan", event => { this.#unit = event.detail.unit || this.#unit; });
        this.view = new tiledDiffusion.Editor(container, this.store, this.#host(container));
        this.include(this.view);
        this.during(() => this.store.subscribe(() => this.#send()));
        this.during(() => this.#begin());
        const acts = () => { this.#drafted = false; };
        this.on(document, "pointerdown", acts, {capture: true});
        this.on(document, "keydown", acts, {capture: true});
    }

    /** What the page's field holds, if it is not what was sent to it. @param {string} text */
    load(text) {
        if (text === this.#sent) return;
        if (!text && this.#drafted) { // Forge's page empties its fields as it begins, after the draft is there
            this.#drafted = false;
            this.#sent = "";
            this.#send();
            return;
        }
        try {
            this.store.dispatch({type: "load", document: tiledDiffusion.data.parse(text || "")});
        } catch (error) {
            const words = this.#around.translate("These regions cannot be read:");
            this.view.say(`${words} ${error instanceof Error ? error.message : error}`);
            this.#keep("-unread", text);
        }
    }

    /** @param {HTMLElement} container @returns {EditorHost} */
    #host(container) {
        const around = this.#around, {presets, tokens} = tiledDiffusion.routes;
        return {
            size: () => around.size(), height: () => around.height(), unit: () => this.#unit,
            seed: () => around.seed(), pictures: around.pictures,
            translate: around.translate, onField: around.onField, presets, tokens,
            controlnet: container.dataset.controlnet !== "false",
        };
    }

    /** Takes over what the page's field holds, or else the draft. */
    #begin() {
        const held = tiledDiffusion.gradio.carrier(this.#tab)?.value, begun = held || this.#draft();
        if (begun) this.load(begun);
        this.#sent = "";
        this.#send();
        this.#drafted = !held && Boolean(begun);
    }

    /** Writes the state into the page's field, and keeps a draft. */
    #send() {
        const text = tiledDiffusion.store.toText(this.store.state), field = tiledDiffusion.gradio.carrier(this.#tab);
        if (text === this.#sent) return;
        this.#sent = text;
        this.#keep("", text);
        if (field && field.value !== text) {
            field.value = text;
            updateInput(field);
        }
        tiledDiffusion.panel.later(this.#tab);
    }

    /** @param {string} suffix @param {string} text */
    #keep(suffix, text) {
        try {
            localStorage.setItem(Mount.#KEY + this.#tab + suffix, text);
        } catch { /* a full or forbidden storage: only the draft is lost */ }
    }

    #draft() {
        try {
            return localStorage.getItem(Mount.#KEY + this.#tab) || "";
        } catch {
            return "";
        }
    }
};

/** @type {Record<string, tiledDiffusion.Mount>} The editors of now, by tab. */
tiledDiffusion.editors = {};

/** All editors: of containers that are there, and of those that come later. */
tiledDiffusion.Page = class Page extends tiledDiffusion.Part {
    static #CONTAINER = ".td-editor";
    /** So long after a change it is looked for new containers. */
    static #DELAY_MS = 50;
    #around;

    /** @param {(tab: string) => Surroundings} around what is around the panel of a tab */
    constructor(around) {
        super();
        this.#around = around;
        this.during(() => Page.#enabled(tiledDiffusion.cornerPage));
        this.during(() => {
            this.#mountAll();
            return () => Page.#clear();
        });
        this.during(() => this.#watch());
        this.during(() => Page.#enabled(tiledDiffusion.panel));
    }

    /** @param {EditorPart} part @returns {() => void} What disables it again. */
    static #enabled(part) {
        part.enable();
        return () => part.disable();
    }

    start() {
        this.enable();
    }

    /** Takes every editor off the page, and all that listens. */
    stop() {
        this.disable();
    }

    /** What the page's field of a tab says. @param {string} tab @param {string} text */
    load(tab, text) {
        tiledDiffusion.editors[tab]?.load(text);
    }

    /** Some versions of gradio make an accordion's content when it is opened. */
    #watch() {
        let timer = 0;
        const observer = new MutationObserver(() => {
            timer ||= window.setTimeout(() => {
                timer = 0;
                this.#mountAll();
                tiledDiffusion.panel.catchUp();
            }, Page.#DELAY_MS);
        });
        observer.observe(tiledDiffusion.gradio.root(), {childList: true, subtree: true});
        return () => {
            observer.disconnect();
            window.clearTimeout(timer);
        };
    }

    #mountAll() {
        for (const container of Page.#containers()) if (!container.dataset.mounted) this.#mount(container);
    }

    /** @param {HTMLElement} container */
    #mount(container) {
        const tab = container.dataset.tab || "", {editors} = tiledDiffusion;
        container.dataset.mounted = "true";
        editors[tab]?.disable();
        editors[tab] = new tiledDiffusion.Mount(container, tab, this.#around(tab));
        editors[tab].enable();
    }

    static #clear() {
        for (const [tab, mount] of Object.entries(tiledDiffusion.editors)) {
            mount.disable();
            delete tiledDiffusion.editors[tab];
        }
        for (const container of Page.#containers()) delete container.dataset.mounted;
    }

    /** @returns {NodeListOf<HTMLElement>} */
    static #containers() {
        return tiledDiffusion.gradio.root().querySelectorAll(Page.#CONTAINER);
    }
};
