"use strict";
// The editor's canvas: its stage, what lies on it, the tools that paint on it, and the pointer.

tiledDiffusion.Canvas = class Canvas extends tiledDiffusion.Part {
    #edges;

    /**
     * @param {RegionStore} store @param {EditorHost} host @param {tiledDiffusion.TileLayer} tiles
     * @param {tiledDiffusion.RegionCommands} commands @param {Notices} notices
     * @param {HTMLElement} root what fills the screen
     */
    constructor(store, host, tiles, commands, notices, root) {
        super();
        const td = tiledDiffusion, traces = new td.DragTraces();
        this.tiles = tiles;
        this.picture = new td.ReferencePicture();
        this.result = new td.ReferencePicture("td-result");
        this.stage = new td.Stage(root, host);
        this.shapes = new td.ShapeTools(store, host, this.stage, commands, notices);
        const edges = this.#edges = new td.SoftEdges(store, host);
        const boxes = new td.BoxLayer(store, host, this.stage, traces.frame);
        const drawn = {store, boxes, add: (/** @type {Box[]} */ added) => commands.add(added)};
        this.pointer = new td.CanvasPointer(this.stage, traces, drawn, this.shapes, host);
        this.stage.surface.append(
            this.result.node, this.picture.node, edges.node, tiles.node, traces.frame, traces.guides,
            this.shapes.sketch);
        this.include(this.stage, this.result, this.picture, edges, boxes, this.shapes, this.pointer);
    }

    /** What a run has drawn so far, or in the end. @param {RunResult} result */
    show({url, tiles = 0}) {
        if (url) this.result.show(url, "1");
        this.tiles.progress(tiles);
    }

    /** The picture's size or its tiles may have changed. @param {PlanFigures} plan */
    plan(plan) {
        this.stage.place();
        this.tiles.follow(plan);
        this.#edges.later();
    }
};
