"use strict";
// Pointers on the canvas: which gesture one begins, and two fingers that zoom.

/** Two fingers: they zoom and move the canvas. */
tiledDiffusion.Pinch = class Pinch {
    /** Where each finger is on the page. @type {Map<number, Point>} */
    #fingers = new Map();
    #stage;

    /** @param {Zoom & {readonly pan: Point, panTo(x: number, y: number): void}} stage */
    constructor(stage) {
        this.#stage = stage;
    }

    /** Whether there are two now. @param {PointerEvent} event */
    down(event) {
        if (event.pointerType !== "touch") return false;
        this.#fingers.set(event.pointerId, {x: event.clientX, y: event.clientY});
        return this.#fingers.size > 1;
    }

    /** Whether it zooms. @param {PointerEvent} event */
    move(event) {
        if (this.#fingers.size !== 2 || !this.#fingers.has(event.pointerId)) return false;
        const before = this.#span();
        this.#fingers.set(event.pointerId, {x: event.clientX, y: event.clientY});
        const after = this.#span(), stage = this.#stage;
        stage.zoomBy(after.length / Math.max(before.length, 1), before.middle);
        stage.panTo(stage.pan.x + after.middle.x - before.middle.x, stage.pan.y + after.middle.y - before.middle.y);
        return true;
    }

    /** @param {PointerEvent} event */
    up(event) {
        this.#fingers.delete(event.pointerId);
    }

    #span() {
        const [a, b] = this.#fingers.values();
        return {length: Math.hypot(a.x - b.x, a.y - b.y), middle: {x: (a.x + b.x) / 2, y: (a.y + b.y) / 2}};
    }
};

/** @implements {Cancellable} */
tiledDiffusion.CanvasPointer = class CanvasPointer extends tiledDiffusion.Part {
    /** How near an edge has to come to a line to snap to it. */
    static #REACH_PX = 6;
    /** @type {{pointer: number, gesture: Gesture} | null} */
    #held = null;
    #spaceHeld = false;
    #stage;
    #canvas;
    #traces;
    #tool;
    #host;
    #pinch;

    /**
     * @param {tiledDiffusion.Stage} stage @param {tiledDiffusion.DragTraces} traces
     * @param {Omit<FrameCanvas & ChangeCanvas, "point" | "traces">} canvas what drags draw and change
     * @param {CanvasTool} tool @param {Pick<EditorHost, "size" | "unit">} host
     */
    constructor(stage, traces, canvas, tool, host) {
        super();
        this.#stage = stage;
        this.#traces = traces;
        this.#canvas = {...canvas, traces, point: (/** @type {MouseEvent} */ event) => stage.point(event)};
        this.#tool = tool;
        this.#host = host;
        this.#pinch = new tiledDiffusion.Pinch(stage);
        this.follow(canvas.store, state => { if (this.#held?.gesture.lost(state)) this.#clear(); });
        this.on(stage.node, "pointerdown", event => this.#down(event));
        this.on(stage.node, "pointermove", event => this.#move(event));
        this.on(stage.node, "pointerup", event => this.#up(event));
        this.on(stage.node, "pointercancel", event => this.#up(event));
        this.on(stage.node, "lostpointercapture", event => this.#lost(event));
        this.on(stage.node, "dblclick", () => tool.doubleClick());
        this.during(() => () => this.#clear());
    }

    get dragging() {
        return Boolean(this.#held?.gesture.begun);
    }

    cancel() {
        if (!this.#held) return false;
        const {gesture} = this.#held;
        this.#clear();
        gesture.cancel();
        return true;
    }

    /** While the space bar is held, the pointer moves the canvas. @param {boolean} held */
    space(held) {
        this.#spaceHeld = held;
        this.#stage.node.classList.toggle("td-pan", held);
    }

    /** @param {PointerEvent} event */
    #down(event) {
        if (this.#pinch.down(event)) {  // ends what the first finger was doing
            this.cancel();
            return event.preventDefault();
        }
        if (this.#held && this.#held.pointer !== event.pointerId) return event.preventDefault();
        const gesture = this.#gesture(event);
        if (!gesture) return;
        this.#held = {pointer: event.pointerId, gesture};
        this.#stage.node.setPointerCapture(event.pointerId);
        event.preventDefault();
    }

    /** What a pointer begins. @param {PointerEvent} event @returns {Gesture | null} */
    #gesture(event) {
        const stage = this.#stage, tool = this.#tool, hand = event.button === 1 || !event.button && this.#spaceHeld;
        if (hand) return new tiledDiffusion.PanGesture(stage, event);
        if (event.button) return null;
        stage.focus();
        const start = stage.point(event);
        if (tool.active) return tool.down(event, start) ? new tiledDiffusion.ToolGesture(tool, stage) : null;
        const id = tiledDiffusion.BoxLayer.idAt(event);
        return id ? this.#change(event, start, id) : this.#frame(event, start);
    }

    /** Begins to draw, or to select. @param {PointerEvent} event @param {Point} start */
    #frame(event, start) {
        const {ctrl} = tiledDiffusion.BoxGesture.keys(event);
        return new tiledDiffusion.FrameGesture(this.#canvas, event, {
            kind: ctrl ? "select" : "draw", start, handle: "se", from: [],
            scene: this.#scene(this.#canvas.store.state.regions, this.#stage.rect),
        });
    }

    /**
     * Selects a region, and begins to move or resize all that are selected.
     * @param {PointerEvent} event @param {Point} start @param {number} id
     */
    #change(event, start, id) {
        const {rect} = this.#stage;  // before the page is drawn anew
        const {store} = this.#canvas, {ctrl, shift} = tiledDiffusion.BoxGesture.keys(event), more = shift || ctrl;
        if (more || !store.state.selected.includes(id)) store.pick(id, more);
        const {regions, selected} = store.state;
        const moving = more ? [] : regions.filter(r => selected.includes(r.id) && !r.locked);
        if (!moving.length) {
            event.preventDefault();
            return null;
        }
        const handle = /** @type {Handle} */ (/** @type {HTMLElement} */ (event.target).dataset.handle || "move");
        const from = moving.map(({id, x, y, w, h}) => ({id, x, y, w, h}));
        const scene = this.#scene(regions.filter(r => !moving.includes(r)), rect);
        return new tiledDiffusion.ChangeGesture(this.#canvas, event, {kind: "change", start, handle, from, scene});
    }

    /** What a drag may snap to. @param {EditorRegion[]} others @param {DOMRect} rect of the canvas @returns {Scene} */
    #scene(others, rect) {
        const {width, height} = this.#host.size(), unit = this.#host.unit(), reach = CanvasPointer.#REACH_PX;
        return {
            lines: tiledDiffusion.box.snapLines(others), reach: {x: reach / rect.width, y: reach / rect.height},
            unit: {x: unit / width, y: unit / height}, square: height / width,
        };
    }

    /** @param {PointerEvent} event */
    #move(event) {
        if (!this.#pinch.move(event) && this.#held?.pointer === event.pointerId) this.#held.gesture.move(event);
    }

    /** @param {PointerEvent} event */
    #up(event) {
        this.#pinch.up(event);
        if (this.#held?.pointer !== event.pointerId) return;
        if (event.type === "pointercancel") return void this.cancel();
        const {gesture} = this.#held;
        this.#clear();
        gesture.drop();
    }

    /** Chromium lets go of the pointer after a right click in the middle of a drag. @param {PointerEvent} event */
    #lost(event) {
        if (this.#held?.pointer !== event.pointerId) return;
        if (event.buttons) this.#stage.node.setPointerCapture(event.pointerId);
        else this.cancel();
    }

    #clear() {
        this.#held = null;
        this.#traces.clear();
    }
};
