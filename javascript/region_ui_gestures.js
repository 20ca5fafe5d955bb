"use strict";
// What a pointer that is down on the canvas does: it moves the canvas, paints, draws, selects, moves or resizes boxes.

/** Moves the canvas. @implements {Gesture} */
tiledDiffusion.PanGesture = class PanGesture {
    begun = true;
    #stage;
    #from;

    /** @param {{readonly pan: Point, panTo(x: number, y: number): void}} stage @param {PointerEvent} event */
    constructor(stage, event) {
        this.#stage = stage;
        this.#from = {x: stage.pan.x - event.clientX, y: stage.pan.y - event.clientY};
    }

    /** @param {PointerEvent} event */
    move(event) {
        this.#stage.panTo(this.#from.x + event.clientX, this.#from.y + event.clientY);
    }

    drop() {}

    cancel() {}

    lost() {
        return false;
    }
};

/** Hands the pointer to the tool in hand. @implements {Gesture} */
tiledDiffusion.ToolGesture = class ToolGesture {
    begun = true;
    #tool;
    #stage;

    /** @param {CanvasTool} tool @param {{point(event: MouseEvent): Point}} stage */
    constructor(tool, stage) {
        this.#tool = tool;
        this.#stage = stage;
    }

    /** @param {PointerEvent} event */
    move(event) {
        this.#tool.move(event, this.#stage.point(event));
    }

    drop() {
        this.#tool.up();
    }

    cancel() {
        this.#tool.cancel();
    }

    lost() {
        return false;
    }
};

/** A drag of boxes: where it has got to is always computed from its beginning. */
tiledDiffusion.BoxGesture = class BoxGesture {
    static #LEAST_MOVE_PX = 3;
    /** @type {DragResult | null} */
    result = null;
    #canvas;
    #first;

    /** @param {GestureCanvas} canvas @param {PointerEvent} event @param {Drag} drag */
    constructor(canvas, event, drag) {
        this.#canvas = canvas;
        this.#first = {x: event.clientX, y: event.clientY};
        this.drag = drag;
    }

    /** Which modifiers are held. @param {MouseEvent} event @returns {Keys} */
    static keys(event) {
        return {shift: event.shiftKey, alt: event.altKey, ctrl: event.ctrlKey || event.metaKey};
    }

    get begun() {
        return this.result !== null;
    }

    /** Where it has got to; nothing while the pointer has hardly been moved. @param {PointerEvent} event */
    follow(event) {
        const far = Math.hypot(event.clientX - this.#first.x, event.clientY - this.#first.y);
        if (!this.result && far < BoxGesture.#LEAST_MOVE_PX) return null;
        this.result = tiledDiffusion.drag.next(this.drag, this.#canvas.point(event), BoxGesture.keys(event));
        this.#canvas.traces.snapTo(this.result.guides);
        return this.result;
    }
};

/** Draws a frame: a new region, or what is to be selected. @implements {Gesture} */
tiledDiffusion.FrameGesture = class FrameGesture extends tiledDiffusion.BoxGesture {
    /** In fractions of the canvas: a smaller frame becomes no region. */
    static #LEAST = 0.015;
    #canvas;

    /** @param {FrameCanvas} canvas @param {PointerEvent} event @param {Drag} drag */
    constructor(canvas, event, drag) {
        super(canvas, event, drag);
        this.#canvas = canvas;
    }

    get begun() {
        return this.drag.kind === "select" || super.begun;
    }

    /** @param {PointerEvent} event */
    move(event) {
        const result = this.follow(event);
        if (result) this.#canvas.traces.outline(result.box);
    }

    drop() {
        const box = this.result?.box, least = FrameGesture.#LEAST;
        if (this.drag.kind === "select" || !box) this.#canvas.store.dispatch({type: "select", ids: this.#inside(box)});
        else if (box.w > least && box.h > least) this.#canvas.add([box]);
    }

    cancel() {}

    lost() {
        return false;
    }

    /** Regions that are shown in a box. @param {Box} [box] */
    #inside(box) {
        if (!box) return [];
        const shown = this.#canvas.store.state.regions.filter(r => !r.hidden);
        return shown.filter(r => tiledDiffusion.layout.overlap(r, box)).map(r => r.id);
    }
};

/** Moves or resizes boxes. @implements {Gesture} */
tiledDiffusion.ChangeGesture = class ChangeGesture extends tiledDiffusion.BoxGesture {
    #canvas;

    /** @param {ChangeCanvas} canvas @param {PointerEvent} event @param {Drag} drag */
    constructor(canvas, event, drag) {
        super(canvas, event, drag);
        this.#canvas = canvas;
    }

    /** @param {PointerEvent} event */
    move(event) {
        const result = this.follow(event);
        if (result) for (const {id} of this.drag.from) this.#canvas.boxes.put(id, result.boxes[id]);
    }

    drop() {
        if (this.result) this.#canvas.store.dispatch({type: "place", boxes: this.result.boxes});
    }

    cancel() {
        this.#canvas.boxes.render();
    }

    /** @param {State} state */
    lost({regions}) {
        return !this.drag.from.every(box => regions.some(r => r.id === box.id));
    }
};
