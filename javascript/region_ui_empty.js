"use strict";
// What an empty canvas says, and three ways to begin.

tiledDiffusion.EmptyCanvas = class EmptyCanvas extends tiledDiffusion.Widget {
    /**
     * @param {RegionStore} store @param {Translate} t @param {tiledDiffusion.RegionCommands} commands
     * @param {{readonly input: HTMLElement}} pictures takes a picture as a region
     */
    constructor(store, t, commands, pictures) {
        super(t);
        const {el} = tiledDiffusion.ui, {icon} = tiledDiffusion.icons;
        /** On the canvas; the pointer goes through it. */
        this.words = el("p", {class: "td-empty"}, t("Drag here to draw a region with a prompt of its own"));
        this.node = el("div", {class: "td-starts"},
            this.#start(icon("rectangle"), t("One region (N)"), () => commands.addInTheMiddle()),
            this.#start(icon("columns"), t("Two side by side"), () => commands.begin("1,1")),
            this.#start(icon("addPicture"), t("A picture"), () => pictures.input.click()));
        this.follow(store, ({regions}) => {
            const {hasFocus} = tiledDiffusion.ui;
            if (regions.length && hasFocus(this.node)) commands.write();
            this.words.hidden = this.node.hidden = regions.length > 0;
        });
    }

    /** @param {Node} sign @param {string} words @param {() => void} act */
    #start(sign, words, act) {
        const node = tiledDiffusion.ui.el("button", {type: "button"}, sign, words);
        this.on(node, "click", act);
        return node;
    }
};
