"use strict";
// Free shapes of the selected region: which tool is in hand, and its buttons.

/** The tools' buttons, and the size of the brush. */
tiledDiffusion.ToolButtons = class ToolButtons extends tiledDiffusion.Widget {
    /** @type {[name: string, key: string, title: string, use: string][]} */
    static #TOOLS = [
        ["box", "v", "Draw and move boxes", ""],
        ["rectangle", "r", "Shape: rectangle", "Drag within the region. Alt cuts out."],
        ["ellipse", "o", "Shape: ellipse in the selected region",
            "Drag within the region; a click takes all of it. Alt cuts out."],
        ["polygon", "p", "Shape: click points, Enter closes",
            "Click the corners; Enter, a double click or the first corner closes. Backspace takes one back."],
        ["brush", "b", "Shape: paint", "Paint within the region; [ and ] change the size. Alt erases."],
        ["eraser", "e", "Shape: erase", "Erase within the region; [ and ] change the size."],
    ];
    /** What the keys make of the brush's size. @type {Record<string, (size: number) => number>} */
    static #SIZE_KEYS = {"[": size => Math.floor(size * 0.8), "]": size => Math.ceil(size * 1.25)};
    #signs;
    #brush;

    /** @param {Translate} t @param {(name: string) => void} take @param {() => void} forget takes the shape away */
    constructor(t, take, forget) {
        super(t);
        const title = t("Size of the brush"), range = {type: "range", min: "1", max: "50", value: "10"};
        const attributes = {...range, class: "td-brush", hidden: true, title, "aria-label": title};
        this.#brush = tiledDiffusion.ui.el("input", attributes);
        const {icon} = tiledDiffusion.icons;
        this.#signs = ToolButtons.#TOOLS.map(([name, key, hint]) => {
            const title = `${t(hint)} (${key.toUpperCase()})`;
            return this.button(icon(name === "box" ? "select" : name), hint, () => take(name), {title});
        });
        this.nodes = [
            ...this.#signs, this.#brush, this.button(icon("whole"), "Shape: the whole box again", forget),
        ];
    }

    /** Of the brush, in per cent of the sketch's longer side. */
    get size() {
        return Number(this.#brush.value);
    }

    /** Whether the key changes the brush's size. @param {string} key */
    key(key) {
        const resized = ToolButtons.#SIZE_KEYS[key];
        if (resized) this.#brush.value = String(resized(this.size));
        return Boolean(resized);
    }

    /** The tool that a key takes into the hand; nothing where it takes none. @param {string} key */
    toolOf(key) {
        return ToolButtons.#TOOLS.find(([, letter]) => letter === key)?.[0];
    }

    /** Shows which tool is in hand. @param {string} name @param {boolean} sized */
    show(name, sized) {
        ToolButtons.#TOOLS.forEach(([other], i) => {
            this.#signs[i].classList.toggle("td-on", other === name);
            this.#signs[i].setAttribute("aria-pressed", String(other === name));
        });
        this.#brush.hidden = !sized;
    }

    /** How a tool is used. @param {string} name */
    use(name) {
        const [, , , words] = ToolButtons.#TOOLS.find(([other]) => other === name) || ToolButtons.#TOOLS[0];
        return this.t(words);
    }
};

/** @implements {CanvasTool} */
tiledDiffusion.ShapeTools = class ShapeTools extends tiledDiffusion.Part {
    static #BOX = "box";
    /** The tool in hand; none where boxes are drawn. @type {ShapeTool | null} */
    #tool = null;
    #dragging = false;
    #store;
    #stage;
    #commands;
    #notices;
    #easel;
    #buttons;
    #tools;

    /**
     * @param {RegionStore} store @param {Pick<EditorHost, "translate" | "size">} host @param {ToolStage} stage
     * @param {{needed(): EditorRegion | null}} commands @param {Notices} notices
     */
    constructor(store, host, stage, commands, notices) {
        super();
        this.#store = store;
        this.#stage = stage;
        this.#commands = commands;
        this.#notices = notices;
        this.#easel = new tiledDiffusion.ShapeEasel(store, host, notices);
        this.#buttons = new tiledDiffusion.ToolButtons(host.translate, name => this.take(name), () => this.#forget());
        this.#tools = this.#made();
        this.sketch = this.#easel.sketch.node;
        this.nodes = this.#buttons.nodes;
        this.include(this.#easel, this.#buttons);
        this.during(() => {
            this.#leave();
            return () => this.#leave();
        });
        this.follow(store, () => this.#render());
    }

    get active() {
        return this.#tool !== null;
    }

    /** @param {string} name */
    take(name) {
        if (name !== ShapeTools.#BOX && !this.#commands.needed()) return;
        this.#reset();
        this.#tool = this.#tools[name] || null;
        this.#buttons.show(name, Boolean(this.#tool?.sized));
        this.#stage.hold(name);
        this.sketch.hidden = !this.#tool;
        if (!this.#tool) return;
        this.#begin();
        this.#notices.say(this.#buttons.use(name));
        this.#stage.focus();
    }

    /** @param {PointerEvent} event @param {Point} at */
    down(event, at) {
        const region = this.#store.single;
        if (!region) this.#leave();
        if (!region || !this.#tool || this.#easel.sketch.loading) return false;
        this.#dragging = this.#tool.down(event, ShapeTools.#within(region, at));
        return this.#dragging;
    }

    /** @param {PointerEvent} event @param {Point} at */
    move(event, at) {
        const region = this.#store.single;
        if (this.#dragging && region) this.#tool?.move(event, ShapeTools.#within(region, at));
    }

    up() {
        if (!this.#dragging) return;
        this.#dragging = false;
        this.#tool?.up();
    }

    cancel() {
        this.#reset();
        this.#begin();
    }

    doubleClick() {
        this.#tool?.doubleClick();
    }

    /** @param {string} key */
    key(key) {
        if (this.#buttons.key(key) || this.#tool?.key(key)) return true;
        const name = this.#tool && key === "Escape" ? ShapeTools.#BOX : this.#buttons.toolOf(key);
        if (name) this.take(name);
        return Boolean(name);
    }

    #render() {
        if (!this.#tool) return;
        const region = this.#store.single;
        if (!region || region.locked) return this.#leave();
        if (this.#easel.foreign) this.#reset();
        else if (this.#dragging || this.#easel.current) return;
        this.#begin();
        this.#tool.redraw();
    }

    #begin() {
        this.#easel.begin(Boolean(this.#tool?.covers), () => this.#tool?.redraw());
    }

    /** What was begun is given up. */
    #reset() {
        this.#tool?.reset();
        this.#dragging = false;
    }

    /** Puts the tool away. */
    #leave() {
        this.take(ShapeTools.#BOX);
    }

    /** Takes the free shape off the selected region. */
    #forget() {
        const fields = {mask: null};
        if (this.#commands.needed()) this.#store.dispatch({type: "edit", ids: this.#store.state.selected, fields});
        this.#leave();
    }

    /** @returns {Record<string, ShapeTool>} */
    #made() {
        const {BoxShapeTool, PolygonTool, BrushTool, mask} = tiledDiffusion;
        const easel = this.#easel, {sketch} = easel, size = () => this.#buttons.size;
        return {
            rectangle: new BoxShapeTool(sketch, easel, mask.rectangle),
            ellipse: new BoxShapeTool(sketch, easel, mask.ellipse),
            polygon: new PolygonTool(sketch, easel, () => this.#leave()),
            brush: new BrushTool(sketch, easel, false, size),
            eraser: new BrushTool(sketch, easel, true, size),
        };
    }

    /** A point of the canvas in fractions of a box. @param {Box} box @param {Point} at @returns {Point} */
    static #within(box, at) {
        return {x: (at.x - box.x) / box.w, y: (at.y - box.y) / box.h};
    }
};
