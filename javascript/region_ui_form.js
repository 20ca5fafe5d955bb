"use strict";
// The fields of the selected region. They are made once, so that other scripts can take hold of the prompts.

/** The form's fields, and how they lie. */
tiledDiffusion.FormLayout = class FormLayout extends tiledDiffusion.Widget {
    /** Seeds that the button throws are below it. */
    static #SEEDS = 2 ** 32;
    /** @type {FormField[]} */
    fields = [];
    /** @type {tiledDiffusion.PromptField[]} */
    prompts = [];
    /** What only regions with pictures have. */
    picture;
    #owner;

    /**
     * @param {FormOwner} owner @param {boolean} controlnet whether there are ControlNets
     * @param {() => void} takeSeed
     */
    constructor(owner, controlnet, takeSeed) {
        super(owner.t);
        this.#owner = owner;
        const texts = this.#texts(), mixing = this.#mixing(), sampling = this.#sampling(controlnet, takeSeed);
        this.picture = this.#picture();
        this.rows = [this.picture, ...texts, ...mixing, ...sampling];
        this.include(...this.fields);
    }

    #texts() {
        return [
            this.#prompt("prompt", "Prompt", "What is drawn in this region", false),
            this.#select("join", "Main prompt", "How the main prompt joins it",
                [["replace", "left out"], ["append", "before it"], ["prepend", "after it"]]),
            this.#prompt("negative_prompt", "Negative prompt", "What to avoid here; empty takes the main one", true),
            this.#line("name", "Name", "For you alone"),
        ];
    }

    #picture() {
        const {keep, fit, flip} = tiledDiffusion.table.region;
        return FormLayout.#row(
            this.#number("keep", keep.label, keep.info),
            this.#select("fit", fit.label, fit.info, (fit.choices || []).map(([name, label]) => [name, label])),
            this.#check("flip", flip.label, flip.info));
    }

    #mixing() {
        return [
            FormLayout.#row(
                this.#select("layer", "Layer", "Backgrounds mix; foregrounds lie above them",
                    [["background", "background"], ["foreground", "foreground"]]),
                this.#number("weight", "Weight", "How strongly a background counts where regions overlap")),
            FormLayout.#row(
                this.#number("feather", "Feather", "Width of the soft edge, 0 to 1"),
                this.#select("feather_shape", "Edge", "How the soft edge rises",
                    [["smooth", "smooth"], ["linear", "linear"], ["quadratic", "quadratic"]])),
        ];
    }

    /** @param {boolean} controlnet @param {() => void} takeSeed */
    #sampling(controlnet, takeSeed) {
        const {icon} = tiledDiffusion.icons;
        const random = () => this.#owner.edit("seed", Math.floor(Math.random() * FormLayout.#SEEDS));
        return [
            FormLayout.#row(
                this.#number("seed", "Seed", "Start noise of its own; empty takes the picture's"),
                this.button(icon("dice"), "A new seed", random),
                this.button(icon("last"), "The last picture's seed", takeSeed)),
            FormLayout.#row(
                this.#number("cfg_scale", "CFG", "CFG scale of its own; empty takes the main one"),
                this.#number("step_from", "From", "Where in the sampling it begins, 0 to 1"),
                this.#number("step_to", "To", "Where in the sampling it ends, 0 to 1")),
            FormLayout.#row(
                this.#number("bootstrap", "Bootstrap",
                    "Part of the sampling in which a small region shows a sketch of its object; try 0.5"),
                ...controlnet ? [this.#check("controlnet", "ControlNet", "ControlNets act on this region")] : []),
        ];
    }

    /** @param {...Node} nodes */
    static #row(...nodes) {
        return tiledDiffusion.ui.el("div", {class: "td-row"}, ...nodes);
    }

    /** @param {FormField} field */
    #added(field) {
        this.fields.push(field);
        return field.node;
    }

    /**
     * @param {"prompt" | "negative_prompt"} name @param {string} label @param {string} hint
     * @param {boolean} optional
     */
    #prompt(name, label, hint, optional) {
        const field = new tiledDiffusion.PromptField(this.#owner, name, label, hint, optional);
        this.prompts.push(field);
        return this.#added(field);
    }

    /** @param {"name"} name @param {string} label @param {string} hint */
    #line(name, label, hint) {
        return this.#added(new tiledDiffusion.LineField(this.#owner, name, label, hint));
    }

    /** @param {keyof Region} name @param {string} label @param {string} hint */
    #number(name, label, hint) {
        const field = tiledDiffusion.data.FIELDS[name];
        return this.#added(new tiledDiffusion.NumberField(this.#owner, name, label, hint, field));
    }

    /** @param {keyof Region} name @param {string} label @param {string} hint @param {[string, string][]} choices */
    #select(name, label, hint, choices) {
        return this.#added(new tiledDiffusion.ChoiceField(this.#owner, name, label, hint, choices));
    }

    /** @param {"controlnet" | "flip"} name @param {string} label @param {string} hint */
    #check(name, label, hint) {
        return this.#added(new tiledDiffusion.TickField(this.#owner, name, label, hint));
    }
};

/** The form as the selected region is. @implements {FormOwner} @implements {Focusable} */
tiledDiffusion.RegionForm = class RegionForm extends tiledDiffusion.Widget {
    /** Id of the region that is shown; 0 where there is none. */
    #shown = 0;
    #store;
    #host;
    #notices;
    #layout;
    #tokens;
    #hint;
    #made;
    #size;
    #form;

    /**
     * @param {RegionStore} store @param {Omit<EditorHost, "pictures" | "presets" | "unit">} host
     * @param {Notices} notices
     */
    constructor(store, host, notices) {
        super(host.translate);
        const {el} = tiledDiffusion.ui;
        this.#store = store;
        this.#host = host;
        this.#notices = notices;
        this.#layout = new tiledDiffusion.FormLayout(this, host.controlnet, () => this.#takeSeed());
        this.#tokens = new tiledDiffusion.TokenCounter(host.tokens, counts => {
            this.#layout.prompts.forEach((field, i) => field.count(counts[i]));
        });
        this.#hint = el("p", {class: "td-hint"});
        this.#made = el("p", {class: "td-hint td-composition"});
        this.#size = el("p", {class: "td-hint"});
        this.#form = el("div", {class: "td-form", hidden: true}, ...this.#layout.rows, this.#made, this.#size);
        this.node = el("div", {class: "td-fields"}, this.#hint, this.#form);
        this.include(this.#layout, this.#tokens);
        this.follow(store, () => this.render());
    }

    get region() {
        return this.#store.single;
    }

    focus() {
        this.#layout.prompts[0].focus();
    }

    /** @param {keyof Region} name @param {unknown} value */
    edit(name, value) {
        const {region} = this;
        if (!region) return;
        const fields = /** @type {Partial<EditorRegion>} */ ({[name]: value}), merge = `${name} ${region.id}`;
        this.#notices.told(() => this.#store.dispatch({type: "edit", ids: [region.id], fields, merge}));
    }

    /** @param {1 | -1} by */
    go(by) {
        const {regions} = this.#store.state, at = regions.findIndex(r => r.id === this.region?.id);
        this.#store.dispatch({type: "select", ids: [regions[(at + by + regions.length) % regions.length].id]});
        this.focus();
    }

    render() {
        const {region} = this;
        this.#form.hidden = !region;
        this.#hint.hidden = Boolean(region);
        this.#hint.textContent = this.#advice();
        if (region) this.#show(region);
        this.#shown = region ? region.id : 0;
    }

    /** @param {EditorRegion} region */
    #show(region) {
        const {width, height} = this.#host.size(), other = this.#shown !== region.id;
        if (other) this.#layout.prompts.forEach(field => this.#host.onField?.(field.input));
        for (const field of this.#layout.fields) if (other || !field.focused) field.show(region);
        this.#layout.picture.hidden = region.picture === null;
        this.#made.textContent = tiledDiffusion.text.composition(region.prompt);
        this.#made.hidden = !this.#made.textContent;
        this.#size.textContent = `${Math.round(region.w * width)} × ${Math.round(region.h * height)} px`;
        this.#tokens.ask([region.prompt, region.negative_prompt || ""]);
    }

    /** What to do where there is no region to edit. */
    #advice() {
        const {regions, selected} = this.#store.state, t = this.t;
        if (!regions.length) return "";
        if (selected.length > 1) return `${selected.length} ${t("regions are selected")}`;
        return t("Select a region to edit it.");
    }

    #takeSeed() {
        const seed = this.#host.seed();
        if (seed === null) this.#notices.say(this.t("There is no such picture yet"));
        else this.edit("seed", seed);
    }
};
