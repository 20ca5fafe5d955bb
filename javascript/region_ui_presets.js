"use strict";
// The toolbar's group for presets and files: the regions kept by name on the server, or in a file.

/** Presets: the regions by name. */
tiledDiffusion.PresetButtons = class PresetButtons extends tiledDiffusion.Widget {
    static #made = 0;
    /** The preset that was loaded or saved last. */
    #loaded = "";
    /** @type {string[]} */
    #known = [];
    #store;
    #presets;
    #notices;
    #name;
    #list;

    /** @param {RegionStore} store @param {Pick<EditorHost, "translate" | "presets">} host @param {Notices} notices */
    constructor(store, host, notices) {
        super(host.translate);
        const {el} = tiledDiffusion.ui, {t} = this, id = `td-presets-${++PresetButtons.#made}`;
        this.#store = store;
        this.#presets = host.presets;
        this.#notices = notices;
        const attributes = {placeholder: t("preset"), list: id, "aria-label": t("Preset")};
        this.#name = el("input", {type: "text", size: "10", ...attributes});
        this.#list = el("datalist", {id});
        this.nodes = [
            this.#name, this.#list,
            this.button(t("save"), "Save as a preset", () => this.#save(this.#name.value)),
            this.button(t("load"), "Load the preset", () => this.#load(this.#name.value)),
            this.button(t("rename"), "Rename the loaded preset", () => this.#rename(this.#name.value)),
            this.button(t("delete"), "Delete the preset", () => this.#delete(this.#name.value)),
        ];
        this.during(() => { this.#refresh().catch(() => {}); });  // what is wrong is told of when a preset is used
    }

    async #refresh() {
        const {presets, broken} = await this.#presets.list();
        this.#known = presets.map(preset => preset.name);
        this.#list.replaceChildren(...this.#known.map(name => tiledDiffusion.ui.el("option", {value: name})));
        if (broken.length) this.#notices.say(broken.map(({file, error}) => `${file}: ${error}`).join(" · "));
    }

    /** @param {string} name */
    #save(name) {
        const replaces = this.#known.includes(name) && name !== this.#loaded;
        if (replaces && !window.confirm(`${name}: ${this.t("replace this preset?")}`)) return;
        this.#notices.told(async () => {
            await this.#presets.save(name, JSON.parse(tiledDiffusion.data.write(this.#store.state) || "{}"));
            this.#loaded = name;
            await this.#refresh();
            this.#notices.say(this.t("Saved"));
        });
    }

    /** @param {string} name */
    #load(name) {
        this.#notices.told(async () => {
            const document = tiledDiffusion.data.read(await this.#presets.load(name));
            this.#store.dispatch({type: "load", document});
            this.#loaded = name;
        });
    }

    /** @param {string} name */
    #rename(name) {
        this.#notices.told(async () => {
            if (!this.#loaded) return this.#notices.say(this.t("Load or save a preset first"));
            await this.#presets.rename(this.#loaded, name);
            this.#loaded = name;
            await this.#refresh();
            this.#notices.say(this.t("Renamed"));
        });
    }

    /** @param {string} name */
    #delete(name) {
        if (!window.confirm(`${name}: ${this.t("delete this preset?")}`)) return;
        this.#notices.told(async () => {
            await this.#presets.remove(name);
            this.#name.value = "";
            if (this.#loaded === name) this.#loaded = "";
            await this.#refresh();
            this.#notices.say(this.t("Deleted"));
        });
    }
};

/** Files: the regions as JSON. */
tiledDiffusion.FileButtons = class FileButtons extends tiledDiffusion.Widget {
    static #NAME = "regions.json";
    /** When a download has surely begun. */
    static #BEGUN_MS = 1000;
    /** What other extensions' files have. */
    static #FOREIGN = ['"bbox_controls"', '"Region control"'];
    #store;
    #presets;
    #notices;

    /** @param {RegionStore} store @param {Pick<EditorHost, "translate" | "presets">} host @param {Notices} notices */
    constructor(store, host, notices) {
        super(host.translate);
        this.#store = store;
        this.#presets = host.presets;
        this.#notices = notices;
        const {icon} = tiledDiffusion.icons;
        const accept = "application/json,.json,.txt,.py,.md";
        this.input = tiledDiffusion.ui.el("input", {type: "file", accept, hidden: true});
        this.nodes = [
            this.button(icon("save"), "Save to a file", () => this.#export()),
            this.button(icon("open"), "Load from a file", () => this.input.click()),
        ];
        this.on(this.input, "change", () => this.#import());
    }

    #export() {
        const text = tiledDiffusion.data.write(this.#store.state) || "{}";
        const url = URL.createObjectURL(new Blob([text], {type: "application/json"}));
        tiledDiffusion.ui.el("a", {href: url, download: FileButtons.#NAME}).click();
        setTimeout(() => URL.revokeObjectURL(url), FileButtons.#BEGUN_MS);
    }

    #import() {
        const file = this.input.files?.[0];
        if (file) this.#notices.told(async () => {
            const text = await file.text();
            this.input.value = "";
            this.#store.dispatch({type: "load", document: await this.#read(text)});
        });
    }

    /** @param {string} text */
    async #read(text) {
        const {parse, read} = tiledDiffusion.data;
        if (!text.trimStart().startsWith("{")) return read(await this.#presets.convert({text}));
        if (!FileButtons.#FOREIGN.some(word => text.includes(word))) return parse(text);
        return read(await this.#presets.convert(JSON.parse(text)));
    }
};
