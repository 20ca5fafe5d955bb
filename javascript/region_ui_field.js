"use strict";
// The inputs of the form: a prompt, a line of text, a number, a choice, a tick. Each is for one field of the region.

/**
 * What all of them have in common.
 * @template {HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement} Input
 * @implements {FormField}
 */
tiledDiffusion.Field = class Field extends tiledDiffusion.Part {
    /**
     * @param {FormOwner} owner @param {keyof Region} name @param {string} label @param {string} hint
     * @param {Input} input @param {...Node} more what lies beside it
     */
    constructor(owner, name, label, hint, input, ...more) {
        super();
        const {el} = tiledDiffusion.ui;
        this.owner = owner;
        this.name = name;
        this.input = input;
        input.setAttribute("title", owner.t(hint));
        /** @type {HTMLElement} */
        this.node = el("label", {class: "td-field"}, el("span", {}, owner.t(label)), input, ...more);
    }

    get focused() {
        return tiledDiffusion.ui.hasFocus(this.input);
    }

    focus() {
        this.input.focus({preventScroll: true});
    }

    /** @param {EditorRegion} region */
    show(region) {
        this.input.value = String(region[this.name] ?? "");
    }

    /** @protected @param {unknown} value */
    edit(value) {
        this.owner.edit(this.name, value);
    }
};

/**
 * A prompt; laid out as the page's own prompts are, which other extensions look for.
 * @extends {tiledDiffusion.Field<HTMLTextAreaElement>}
 */
tiledDiffusion.PromptField = class PromptField extends tiledDiffusion.Field {
    #marks;
    #tokens;

    /**
     * @param {FormOwner} owner @param {"prompt" | "negative_prompt"} name @param {string} label @param {string} hint
     * @param {boolean} optional nothing typed is no prompt, not an empty one
     */
    constructor(owner, name, label, hint, optional) {
        const {el} = tiledDiffusion.ui, {t} = owner;
        const tokens = el("small", {class: "td-tokens", title: t("Tokens of this prompt, and how many fit")});
        const marks = el("small", {class: "td-brackets"});
        super(owner, name, label, hint, el("textarea", {rows: 2, placeholder: t(hint)}), tokens, marks);
        this.#tokens = tokens;
        this.#marks = marks;
        this.node = el("div", {class: "prompt"}, this.node);
        this.on(this.input, "keydown", event => event.altKey ? this.#go(event) : this.#weigh(event));
        this.on(this.input, "input", () => {
            this.edit(optional && this.input.value === "" ? null : this.input.value);
            this.#mark();
        });
    }

    /** @param {EditorRegion} region */
    show(region) {
        super.show(region);
        this.#mark();
    }

    /** @param {[number, number]} counts */
    count(counts) {
        this.#tokens.textContent = counts.join("/");
    }

    #mark() {
        const fine = tiledDiffusion.text.balanced(this.input.value);
        this.#marks.textContent = fine ? "" : this.owner.t("Brackets do not match");
    }

    /** Alt+Up and Alt+Down go to the prompts of other regions. @param {KeyboardEvent} event */
    #go(event) {
        if (!["ArrowUp", "ArrowDown"].includes(event.key)) return;
        event.preventDefault();
        event.stopPropagation();
        this.owner.go(event.key === "ArrowDown" ? 1 : -1);
    }

    /** Ctrl+Up and Ctrl+Down change a weight, as in the main prompt. @param {KeyboardEvent} event */
    #weigh(event) {
        if (!(event.ctrlKey || event.metaKey) || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
        event.preventDefault();
        event.stopPropagation();
        const {value, selectionStart, selectionEnd} = this.input;
        const changed = tiledDiffusion.text.weighted(value, selectionStart, selectionEnd, event.key === "ArrowUp");
        if (!changed) return;
        this.input.value = changed.value;
        this.input.setSelectionRange(changed.from, changed.to);
        this.input.dispatchEvent(new Event("input", {bubbles: true}));
    }
};

/** @extends {tiledDiffusion.Field<HTMLInputElement>} */
tiledDiffusion.LineField = class LineField extends tiledDiffusion.Field {
    /** @param {FormOwner} owner @param {"name"} name @param {string} label @param {string} hint */
    constructor(owner, name, label, hint) {
        super(owner, name, label, hint, tiledDiffusion.ui.el("input", {type: "text", placeholder: owner.t(hint)}));
        this.on(this.input, "input", () => this.edit(this.input.value));
    }
};

/** @extends {tiledDiffusion.Field<HTMLInputElement>} */
tiledDiffusion.NumberField = class NumberField extends tiledDiffusion.Field {
    /**
     * @param {FormOwner} owner @param {keyof Region} name @param {string} label @param {string} hint
     * @param {RegionField} field its range, and by how much its arrows change it
     */
    constructor(owner, name, label, hint, field) {
        const [min, max] = field.offered || field.range || [], optional = field.default === null;
        super(owner, name, label, hint, tiledDiffusion.ui.el("input", {type: "number", min, max, step: field.step}));
        this.on(this.input, "input", () => {
            if (this.input.value !== "") this.edit(Number(this.input.value));
            else if (optional) this.edit(null);
        });
        this.on(this.input, "blur", () => { if (owner.region) this.show(owner.region); });
    }
};

/** @extends {tiledDiffusion.Field<HTMLSelectElement>} */
tiledDiffusion.ChoiceField = class ChoiceField extends tiledDiffusion.Field {
    /**
     * @param {FormOwner} owner @param {keyof Region} name @param {string} label @param {string} hint
     * @param {[value: string, words: string][]} choices
     */
    constructor(owner, name, label, hint, choices) {
        const {el} = tiledDiffusion.ui;
        const options = choices.map(([value, words]) => el("option", {value}, owner.t(words)));
        super(owner, name, label, hint, el("select", {}, ...options));
        this.on(this.input, "change", () => this.edit(this.input.value));
    }
};

/** @extends {tiledDiffusion.Field<HTMLInputElement>} */
tiledDiffusion.TickField = class TickField extends tiledDiffusion.Field {
    /** @param {FormOwner} owner @param {"controlnet" | "flip"} name @param {string} label @param {string} hint */
    constructor(owner, name, label, hint) {
        super(owner, name, label, hint, tiledDiffusion.ui.el("input", {type: "checkbox"}));
        this.on(this.input, "change", () => this.edit(this.input.checked));
    }

    /** @param {EditorRegion} region */
    show(region) {
        this.input.checked = Boolean(region[this.name]);
    }
};
