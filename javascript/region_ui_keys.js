"use strict";
// The editor's keys.

tiledDiffusion.Keyboard = class Keyboard extends tiledDiffusion.Part {
    static #STEP_PX = 8;
    static #STEPS_AT_ONCE = 10;
    /** Where each arrow goes. @type {Record<string, [number, number]>} */
    static #ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
    /** Keys that are meant for the editor on its buttons too, with Ctrl. */
    static #ANYWHERE = ["z", "y"];
    #tool;
    #plain;
    #control;
    #commands;

    /**
     * @param {HTMLElement} root @param {tiledDiffusion.RegionCommands} commands @param {Zoom} zoom
     * @param {Pick<CanvasTool, "key">} tool @param {Cancellable & {space(held: boolean): void}} pointer
     */
    constructor(root, commands, zoom, tool, pointer) {
        super();
        this.#tool = tool;
        this.#commands = commands;
        this.#plain = Keyboard.#plainKeys(commands, zoom, pointer);
        this.#control = Keyboard.#controlKeys(commands, pointer);
        this.on(root, "keydown", event => this.#key(event));
        this.on(document, "keyup", event => { if (event.key === " ") pointer.space(false); });
        this.on(window, "blur", () => pointer.space(false));
    }

    /**
     * @param {tiledDiffusion.RegionCommands} commands @param {Zoom} zoom
     * @param {Cancellable & {space(held: boolean): void}} pointer @returns {Record<string, () => unknown>}
     */
    static #plainKeys(commands, zoom, pointer) {
        return {
            Delete: () => commands.remove(), Backspace: () => commands.remove(), Enter: () => commands.write(),
            PageUp: () => commands.toFront(), PageDown: () => commands.toBack(), n: () => commands.addInTheMiddle(),
            Escape: () => pointer.cancel() || commands.selectNone(), " ": () => pointer.space(true),
            "+": () => zoom.zoomBy(1.25), "-": () => zoom.zoomBy(0.8), "0": () => zoom.whole(),
        };
    }

    /**
     * @param {tiledDiffusion.RegionCommands} commands @param {Cancellable} pointer
     * @returns {Record<string, (event: KeyboardEvent) => unknown>}
     */
    static #controlKeys(commands, pointer) {
        return {
            d: () => commands.duplicate(), a: () => commands.selectAll(), y: () => commands.redo(),
            z: event => pointer.cancel() || (event.shiftKey ? commands.redo() : commands.undo()),
        };
    }

    /** @param {KeyboardEvent} event */
    #key(event) {
        const target = /** @type {HTMLElement} */ (event.target), control = event.ctrlKey || event.metaKey;
        if (target.closest("input, textarea, select")) return;
        const letter = event.key.length === 1 ? event.key.toLowerCase() : event.key;
        if (target.closest("button, summary") && !(control && Keyboard.#ANYWHERE.includes(letter))) return;
        const act = this.#action(event, letter, control);
        if (!act || event.altKey) return;
        act(event);
        event.preventDefault();
        event.stopPropagation();
    }

    /** @param {KeyboardEvent} event @param {string} letter @param {boolean} control */
    #action(event, letter, control) {
        if (!control && this.#tool.key(event.key)) return () => {};
        const arrow = Keyboard.#ARROWS[letter];
        if (!arrow) return (control ? this.#control : this.#plain)[letter];
        const by = Keyboard.#STEP_PX * (event.shiftKey ? Keyboard.#STEPS_AT_ONCE : 1);
        return () => this.#commands.step(control ? "grow" : "nudge", arrow[0] * by, arrow[1] * by);
    }
};
