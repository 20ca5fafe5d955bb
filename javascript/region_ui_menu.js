"use strict";
// The canvas's menu: what can be done with the selected regions.

tiledDiffusion.CanvasMenu = class CanvasMenu extends tiledDiffusion.Widget {
    #root;
    #store;
    #stage;
    #pointer;
    #commands;
    #split;
    /** What each item does. @type {(() => void)[]} */
    #acts = [];

    /**
     * @param {HTMLElement} root @param {RegionStore} store @param {Translate} t
     * @param {Focusable & {readonly node: HTMLElement}} stage @param {Cancellable} pointer
     * @param {tiledDiffusion.RegionCommands} commands @param {() => void} split splits the selected region
     */
    constructor(root, store, t, stage, pointer, commands, split) {
        super(t);
        this.#root = root;
        this.#store = store;
        this.#stage = stage;
        this.#pointer = pointer;
        this.#commands = commands;
        this.#split = split;
        this.node = tiledDiffusion.ui.el("div", {class: "td-menu", role: "menu"});
        this.on(stage.node, "contextmenu", event => this.#open(event));
        this.on(this.node, "click", event => this.#click(event));
        this.on(this.node, "keydown", event => this.#key(event));
        this.on(document, "pointerdown", event => { if (!event.composedPath().includes(this.node)) this.#close(); });
        this.during(() => () => this.#close());
    }

    /** @param {MouseEvent} event */
    #open(event) {
        event.preventDefault();
        if (this.#pointer.dragging) return;
        this.#pointer.cancel();
        const id = tiledDiffusion.BoxLayer.idAt(event);
        if (id && !this.#store.state.selected.includes(id)) this.#store.pick(id, false);
        this.#close();
        this.#fill(this.#store.state.selected.length ? this.#forSelected() : this.#forAll());
        this.#root.append(this.node);
        this.#place(event);
        /** @type {HTMLElement} */ (this.node.children[0]).focus();
    }

    /** @returns {[string, () => void][]} */
    #forSelected() {
        const t = this.t, commands = this.#commands;
        return [
            [t("Duplicate"), () => commands.duplicate()], [t("To the front"), () => commands.toFront()],
            [t("To the back"), () => commands.toBack()], [t("Split into columns"), this.#split],
            [t("Delete"), () => commands.remove()],
        ];
    }

    /** @returns {[string, () => void][]} */
    #forAll() {
        const t = this.t, commands = this.#commands;
        return [
            [t("Select all"), () => commands.selectAll()],
            [t("Fill the rest with a background"), () => commands.fillRest()],
        ];
    }

    /** @param {[string, () => void][]} entries */
    #fill(entries) {
        const {el} = tiledDiffusion.ui;
        this.#acts = entries.map(([, act]) => act);
        this.node.replaceChildren(...entries.map(([label]) => el("button", {type: "button", role: "menuitem"}, label)));
    }

    /** Where the pointer is, and within the window. @param {MouseEvent} event */
    #place({clientX, clientY}) {
        const {style} = this.node;
        [style.left, style.top] = [`${clientX}px`, `${clientY}px`];
        const {right, bottom} = this.node.getBoundingClientRect();
        style.left = `${clientX - Math.max(0, right - window.innerWidth)}px`;
        style.top = `${clientY - Math.max(0, bottom - window.innerHeight)}px`;
    }

    /** @param {MouseEvent} event */
    #click(event) {
        const item = /** @type {HTMLElement} */ (event.target).closest("button");
        if (!item) return;
        const act = this.#acts[[...this.node.children].indexOf(item)];
        this.#leave();
        act();
    }

    /** @param {KeyboardEvent} event */
    #key(event) {
        const item = /** @type {HTMLElement} */ (event.target);
        if (event.key === "Escape") this.#leave();
        else if (event.key === "ArrowDown") /** @type {HTMLElement | null} */ (item.nextElementSibling)?.focus();
        else if (event.key === "ArrowUp") /** @type {HTMLElement | null} */ (item.previousElementSibling)?.focus();
        else return;
        event.preventDefault();
        event.stopPropagation();
    }

    #leave() {
        this.#close();
        this.#stage.focus();
    }

    #close() {
        this.node.remove();
    }
};
