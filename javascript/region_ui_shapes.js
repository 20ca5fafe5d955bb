"use strict";
// Free shapes of the selected region: brush, eraser, polygon, rectangle, ellipse. They paint on a sketch over its box.

tiledDiffusion.shapes = (() => {
    const {el, buttons, put} = tiledDiffusion.ui, {between, clamp} = tiledDiffusion.box;
    const {ellipse, rectangle, polygonsOf} = tiledDiffusion.mask, paint = tiledDiffusion.paint;
    const DETAIL = 256, WHOLE = {x: 0, y: 0, w: 1, h: 1}, LEAST_DRAW = 0.02;
    /** @type {[string, string, string, string][]} name, sign, title, what to do */
    const TOOLS = [
        ["box", "▭", "Draw and move boxes", ""],
        ["rectangle", "▬", "Shape: rectangle", "Drag within the region. Alt cuts out."],
        ["ellipse", "◯", "Shape: ellipse in the selected region", "Drag within the region; a click takes all of it. Alt cuts out."],
        ["polygon", "⬠", "Shape: click points, Enter closes", "Click the corners; Enter, a double click or the first corner closes. Backspace takes one back."],
        ["brush", "paint", "Shape: paint", "Paint within the region; [ and ] change the size. Alt erases."],
        ["eraser", "erase", "Shape: erase", "Erase within the region; [ and ] change the size."],
    ];

    /** @param {Editor} ed */
    function createShapes(ed) {
        const {store, host, t} = ed, button = buttons(t);
        let tool = "box", working = false, erasing = false, owner = 0, loading = 0;
        /** Corners of a polygon, or the two ends of what is dragged, in fractions of the box. @type {Point[]} */
        let points = [];
        /** @type {Point | null} */
        let last = null;
        let loads = 0, place = "";
        /** The shape that the sketch shows. @type {Mask | null} */
        let held = null;
        const sketch = el("canvas", {class: "td-sketch", hidden: true});
        const below = document.createElement("canvas");
        const brush = el("input", {type: "range", min: "1", max: "50", value: "10", class: "td-brush", hidden: true, title: t("Size of the brush"), "aria-label": t("Size of the brush")});
        /** @type {Record<string, any>} */
        const signs = Object.fromEntries(TOOLS.map(([name, sign, title]) => [name, button(t(sign), title, () => setTool(name))]));
        const wholeBox = button("⊠", "Shape: the whole box again", () => { if (needed()) store.dispatch({type: "edit", ids: store.state.selected, fields: {mask: null}}); setTool("box"); });

        /** The one selected region, if it may be changed; says so where it is not. */
        function needed() {
            const one = ed.one();
            if (!one) ed.say(t("Select one region first"));
            else if (one.locked) ed.say(t("The region is locked"));
            return one && !one.locked ? one : null;
        }

        /** @param {string} name */
        function setTool(name) {
            if (name !== "box" && !needed()) return;
            tool = name;
            [points, working] = [[], false];
            for (const [key, node] of Object.entries(signs)) {
                node.classList.toggle("td-on", key === tool);
                node.setAttribute("aria-pressed", String(key === tool));
            }
            ed.canvas.stage.dataset.tool = tool;
            sketch.hidden = tool === "box";
            brush.hidden = !["brush", "eraser"].includes(tool);
            if (tool === "box") return;
            begin();
            ed.say(t((TOOLS.find(([key]) => key === tool) || TOOLS[0])[3]));
            ed.canvas.stage.focus({preventScroll: true});
        }

        /** The region's colour. */
        function tint() { return paint.colour(store.state.regions.indexOf(ed.one())); }

        /** @returns {CanvasRenderingContext2D} */
        function ink() { return sketch.getContext("2d", {willReadFrequently: true}); }

        /** @param {Box} box */
        function boxOf({x, y, w, h}) { return [x, y, w, h].join(); }

        /** Puts the shape that there is on the sketch: at most 256 pixels on its longer side. */
        function begin() {
            const one = ed.one(), {width, height} = host.size();
            if (!one) return;
            [owner, held, place, loading] = [one.id, one.mask, boxOf(one), 0];
            const scale = DETAIL / Math.max(one.w * width, one.h * height), context = ink();
            sketch.width = Math.max(8, Math.round(one.w * width * scale));
            sketch.height = Math.max(8, Math.round(one.h * height * scale));
            put(sketch, one);
            context.fillStyle = tint();
            const mask = /** @type {any} */ (one.mask);
            if (mask?.polygons) fillOut(mask.polygons, false);
            else if (mask?.picture) {
                const image = new Image(), mine = loading = ++loads;
                image.onload = () => {
                    if (mine !== loading) return;
                    loading = 0;
                    context.drawImage(paint.alphaOf(image), 0, 0, sketch.width, sketch.height);
                    recoloured(context, tint());
                    keep();
                    if (points.length) drawCorners();
                };
                image.src = `data:image/png;base64,${mask.picture}`;
            } else if (tool === "eraser") context.fillRect(0, 0, sketch.width, sketch.height);
            keep();
        }

        /** What is painted, in one colour. @param {CanvasRenderingContext2D} context @param {string} colour */
        function recoloured(context, colour) {
            context.globalCompositeOperation = "source-in";
            context.fillStyle = colour;
            context.fillRect(0, 0, sketch.width, sketch.height);
            context.globalCompositeOperation = "source-over";
        }

        /** Remembers the sketch, so that what is dragged can be drawn over it anew. */
        function keep() {
            [below.width, below.height] = [sketch.width, sketch.height];
            below.getContext("2d")?.drawImage(sketch, 0, 0);
        }

        function back() {
            const context = ink();
            context.globalCompositeOperation = "source-over";
            context.clearRect(0, 0, sketch.width, sketch.height);
            context.drawImage(below, 0, 0);
        }

        /** @param {Polygon[]} polygons @param {boolean} [out] cuts them out */
        function fillOut(polygons, out = erasing) {
            const context = ink();
            context.globalCompositeOperation = out ? "destination-out" : "source-over";
            context.fillStyle = tint();
            paint.trace(context, polygons, {x: 0, y: 0, w: sketch.width, h: sketch.height});
            context.fill("evenodd");
        }

        function fillAll() {
            ink().globalCompositeOperation = "source-over";
            ink().fillStyle = tint();
            ink().fillRect(0, 0, sketch.width, sketch.height);
        }

        /** @param {Point} at of the canvas @returns {Point} of the region's box */
        function local(at) {
            const one = /** @type {EditorRegion} */ (ed.one());
            return {x: clamp((at.x - one.x) / one.w, 0, 1), y: clamp((at.y - one.y) / one.h, 0, 1)};
        }

        // ---- pointers ------------------------------------------------------------------------------------------
        /** Whether a drag begins. @param {PointerEvent} event @param {Point} at */
        function down(event, at) {
            if (!ed.one()) {
                setTool("box");
                return false;
            }
            if (loading) return false;
            if (tool === "polygon") return corner(event, local(at));
            erasing = tool === "eraser" || event.altKey;
            if (erasing && tool !== "eraser" && !ed.one()?.mask) {  // cuts out of the whole box
                fillAll();
                keep();
            }
            [working, points, last] = [true, [local(at)], null];
            move(event, at);
            return true;
        }

        /** @param {PointerEvent} event @param {Point} at */
        function move(event, at) {
            if (!working) return;
            if (tool === "brush" || tool === "eraser") return stroke(event, at);
            points[1] = local(at);
            back();
            fillOut([dragged()]);
        }

        /** The shape between the two ends; all of the box where there was next to no drag. @returns {Polygon} */
        function dragged() {
            const box = between(points[0], points[1] || points[0]);
            return (tool === "ellipse" ? ellipse : rectangle)(box.w < LEAST_DRAW && box.h < LEAST_DRAW ? WHOLE : box);
        }

        /** @param {PointerEvent} event @param {Point} at */
        function stroke(event, at) {
            const one = /** @type {EditorRegion} */ (ed.one()), context = ink();
            const to = {x: (at.x - one.x) / one.w * sketch.width, y: (at.y - one.y) / one.h * sketch.height}, from = last || to;
            const pressure = event.pointerType === "pen" && event.pressure ? 0.5 + event.pressure : 1;
            context.globalCompositeOperation = erasing ? "destination-out" : "source-over";
            context.strokeStyle = tint();
            context.lineCap = "round";
            context.lineWidth = DETAIL * Number(brush.value) / 100 * pressure;
            context.beginPath();
            context.moveTo(from.x, from.y);
            context.lineTo(to.x, to.y);
            context.stroke();
            last = to;
        }

        function up() {
            if (!working) return;
            working = false;
            const one = ed.one(), plain = ["rectangle", "ellipse"].includes(tool) && !erasing && !one?.mask;
            if (plain) store_({polygons: [dragged()]});
            else finish();
        }

        /** Ends a stroke or shape as if it had never begun. */
        function cancel() {
            [working, points] = [false, []];
            begin();
        }

        // ---- polygon -------------------------------------------------------------------------------------------
        /** With Alt at the first corner, what is drawn is cut out. @param {PointerEvent} event @param {Point} at */
        function corner(event, at) {
            if (!points.length) erasing = event.altKey;
            const first = points[0], near = first && Math.hypot((at.x - first.x) * sketch.width, (at.y - first.y) * sketch.height) < DETAIL / 25;
            if (near && points.length > 2) close();
            else {
                points.push(at);
                drawCorners();
            }
            return false;
        }

        function drawCorners() {
            const context = ink();
            back();
            paint.trace(context, [corners()], {x: 0, y: 0, w: sketch.width, h: sketch.height});
            [context.fillStyle, context.strokeStyle, context.lineWidth] = [tint(), tint(), 2];
            context.stroke();
            points.forEach(({x, y}) => context.fillRect(x * sketch.width - 3, y * sketch.height - 3, 6, 6));
        }

        /** @returns {Polygon} */
        function corners() { return points.map(({x, y}) => [x, y].map(tiledDiffusion.box.rounded)); }

        function close() {
            const polygon = corners();
            if (polygon.length >= 3) {
                back();
                if (erasing && !ed.one()?.mask) fillAll();
                if (erasing || ed.one()?.mask) {
                    fillOut([polygon]);
                    finish();
                } else store_({polygons: [polygon]});
            }
            setTool("box");
        }

        // ---- result --------------------------------------------------------------------------------------------
        /** The sketch as the region's shape: polygons, or a picture where it is too ragged for them. */
        function finish() {
            const {data, width, height} = ink().getImageData(0, 0, sketch.width, sketch.height);
            const inside = Uint8Array.from({length: width * height}, (_, i) => Number(data[4 * i + 3] > 127));
            const polygons = polygonsOf(inside, width, height);
            if (polygons && !polygons.length) {
                back();
                points = [];
                return ed.say(t("Nothing would be left of the shape"));
            }
            store_(polygons ? {polygons} : {picture: picture()});
        }

        /** White on black, as PNG in base64. */
        function picture() {
            const flat = document.createElement("canvas");
            [flat.width, flat.height] = [sketch.width, sketch.height];
            const context = /** @type {CanvasRenderingContext2D} */ (flat.getContext("2d"));
            context.drawImage(sketch, 0, 0);
            recoloured(context, "#fff");
            context.globalCompositeOperation = "destination-over";
            context.fillStyle = "#000";
            context.fillRect(0, 0, flat.width, flat.height);
            return flat.toDataURL("image/png").split(",")[1];
        }

        /** @param {Mask} mask */
        function store_(mask) {
            keep();
            [held, points] = [mask, []];
            ed.told(() => store.dispatch({type: "edit", ids: [owner], fields: {mask}}));
        }

        /** Keys that mean something to the tool in hand. Whether this one does. @param {string} key */
        function key(key) {
            if (key === "[" || key === "]") brush.value = String(key === "[" ? Math.floor(Number(brush.value) * 0.8) : Math.ceil(Number(brush.value) * 1.25));
            else if (tool === "polygon" && key === "Enter") close();
            else if (tool === "polygon" && key === "Backspace") {
                points.pop();
                drawCorners();
            } else if (tool !== "box" && key === "Escape") setTool("box");
            else return false;
            return true;
        }

        /** @param {State} state */
        function render(state) {
            if (tool === "box") return;
            const one = ed.one();
            if (!one || one.locked) return setTool("box");
            if (one.id !== owner) [points, working] = [[], false];
            else if (working || one.mask === held && boxOf(one) === place) return;
            begin();
            if (points.length && !loading) drawCorners();
        }

        return {
            needed, sketch, brush, buttons: [...Object.values(signs), brush, wholeBox], setTool, down, move, up, cancel, close, key, render,
            get active() { return tool !== "box"; },
            get tool() { return tool; },
        };
    }

    return {createShapes};
})();
