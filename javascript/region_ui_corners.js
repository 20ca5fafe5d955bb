"use strict";
// The corners of a frame on a page: the photo with four handles, and beside it the frame as it looks from the front.

/** The photo and its handles. Places are fractions of the photo. */
tiledDiffusion.CornerHandles = class CornerHandles extends tiledDiffusion.Widget {
    static #ARROWS = /** @type {Record<string, Point>} */ ({
        ArrowLeft: {x: -1, y: 0}, ArrowRight: {x: 1, y: 0}, ArrowUp: {x: 0, y: -1}, ArrowDown: {x: 0, y: 1},
    });
    static #SVG = "http://www.w3.org/2000/svg";
    /** @type {readonly Point[]} */
    #corners = tiledDiffusion.corners.MIDDLE;
    #photo = tiledDiffusion.ui.el("img", {alt: "", draggable: "false"});
    #line = document.createElementNS(CornerHandles.#SVG, "polygon");
    #handles;
    #act;

    /** @param {Translate} t @param {(corners: readonly Point[]) => void} act called when a corner was moved by hand */
    constructor(t, act) {
        super(t);
        this.#act = act;
        const svg = document.createElementNS(CornerHandles.#SVG, "svg"), {el} = tiledDiffusion.ui;
        svg.setAttribute("viewBox", "0 0 1 1");
        svg.setAttribute("preserveAspectRatio", "none");
        svg.append(this.#line);
        this.#handles = [0, 1, 2, 3].map(k => this.#handle(k));
        this.node = el("div", {class: "td-corner-stage"}, this.#photo, svg, ...this.#handles);
        this.#draw();
    }

    get corners() {
        return this.#corners;
    }

    /** Shows a photo, and calls back when it is there. @param {string} url @param {() => void} then */
    show(url, then) {
        this.#photo.onload = then;
        this.#photo.src = url;
    }

    /** @param {readonly Point[]} corners */
    place(corners) {
        this.#corners = corners;
        this.#draw();
    }

    /** The photo for the server, as a data URL. @param {number} longest pixels of its longer side, at most */
    picture(longest) {
        const {naturalWidth, naturalHeight} = this.#photo;
        const scale = Math.min(1, longest / Math.max(naturalWidth, naturalHeight, 1));
        const canvas = tiledDiffusion.ui.el("canvas");
        canvas.width = Math.max(1, Math.round(naturalWidth * scale));
        canvas.height = Math.max(1, Math.round(naturalHeight * scale));
        canvas.getContext("2d")?.drawImage(this.#photo, 0, 0, canvas.width, canvas.height);
        return canvas.toDataURL("image/jpeg", 0.92);
    }

    /** @param {number} k */
    #handle(k) {
        const title = `${this.t("Corner of the frame")} ${k + 1}`;
        const node = tiledDiffusion.ui.el("button", {type: "button", class: "td-corner", title, "aria-label": title});
        this.on(node, "pointerdown", event => {
            node.setPointerCapture(event.pointerId);
            node.focus();
            event.preventDefault();
        });
        this.on(node, "pointermove", event => {
            if (node.hasPointerCapture(event.pointerId)) this.#move(k, this.#point(event));
        });
        this.on(node, "keydown", event => this.#key(k, event));
        return node;
    }

    /** One pixel of the photo, ten with Shift. @param {number} k @param {KeyboardEvent} event */
    #key(k, event) {
        const arrow = CornerHandles.#ARROWS[event.key], {naturalWidth, naturalHeight} = this.#photo;
        if (!arrow || !naturalWidth) return;
        event.preventDefault();
        const {x, y} = this.#corners[k], by = event.shiftKey ? 10 : 1;
        this.#move(k, {x: x + arrow.x * by / naturalWidth, y: y + arrow.y * by / naturalHeight});
    }

    /** @param {PointerEvent} event @returns {Point} */
    #point(event) {
        const {left, top, width, height} = this.node.getBoundingClientRect();
        return {x: (event.clientX - left) / width, y: (event.clientY - top) / height};
    }

    /** @param {number} k @param {Point} to */
    #move(k, to) {
        this.place(tiledDiffusion.corners.moved(this.#corners, k, to));
        this.#act(this.#corners);
    }

    #draw() {
        this.#line.setAttribute("points", this.#corners.map(({x, y}) => `${x},${y}`).join(" "));
        this.#handles.forEach((node, k) => {
            node.style.left = `${this.#corners[k].x * 100}%`;
            node.style.top = `${this.#corners[k].y * 100}%`;
        });
    }
};

/** The whole editor of a frame's corners, in a container of the page. */
tiledDiffusion.CornerEditor = class CornerEditor extends tiledDiffusion.Widget {
    /** The photo is sent to the server this small. */
    static #LONGEST_PX = 900;
    #container;
    #handles;
    #front = tiledDiffusion.ui.el("img", {alt: ""});
    #status = tiledDiffusion.ui.el("p", {class: "td-warning", role: "status"});
    /** The photo that is shown, and as it goes to the server. */
    #url = "";
    #picture = "";
    #asking = false;
    /** How often corners were moved by hand: what was looked for meanwhile does not take their place. */
    #moves = 0;
    /** What is to be asked after the present answer: with corners, or to find them. @type {"look" | "find" | null} */
    #next = null;

    /** @param {HTMLElement} container @param {Translate} t */
    constructor(container, t) {
        super(t);
        this.#container = container;
        this.#handles = new tiledDiffusion.CornerHandles(t, () => this.#moved());
        this.include(this.#handles);
        const {el} = tiledDiffusion.ui;
        const find = this.button(t("Find it"), "Look for the frame in the photo", () => this.#ask("find"));
        this.#photoIs(false);
        const front = el("div", {class: "td-corner-front"}, this.#front, el("div", {class: "td-bar"}, find));
        const columns = el("div", {class: "td-corner-columns"}, this.#handles.node, front);
        this.during(() => {
            container.append(columns, this.#status);
            return () => container.replaceChildren();
        });
    }

    /** Takes the page's photo, if it is another one; nothing while nobody sees the editor. */
    refresh() {
        if (!this.#container.getClientRects().length) return;
        const url = this.#source();
        if (url === this.#url) return;
        this.#url = url;
        this.#photoIs(false);
        this.#front.removeAttribute("src");
        this.#write("");
        if (!url) return;
        this.#handles.show(url, () => {
            this.#picture = this.#handles.picture(CornerEditor.#LONGEST_PX);
            this.#handles.place(tiledDiffusion.corners.MIDDLE);
            this.#photoIs(true);
            this.#ask("find");
        });
    }

    /** Looks at the frame again, as its fields now say; a search that is to come does so too. */
    look() {
        if (this.#picture && this.#next !== "find") this.#ask("look");
    }

    /** The page's photo: where it is. */
    #source() {
        const {photo} = this.#container.dataset, {gradio, WebuiPage} = tiledDiffusion;
        return (photo ? gradio.image(photo) : WebuiPage.inputImage())?.src || "";
    }

    /** @param {boolean} there */
    #photoIs(there) {
        this.#container.classList.toggle("td-empty", !there);
        if (!there) this.#picture = "";
        this.#say(there ? "" : this.t("Choose a photo of a frame first"));
    }

    #moved() {
        this.#moves++;
        this.#write(JSON.stringify(tiledDiffusion.corners.pairs(this.#handles.corners)));
        this.#ask("look");
    }

    /** Gives the corners to the page. @param {string} text */
    #write(text) {
        const {carrier} = this.#container.dataset, selector = `#${carrier} textarea, #${carrier} input`;
        const field = /** @type {HTMLInputElement | null} */ (tiledDiffusion.gradio.root().querySelector(selector));
        if (!field || field.value === text) return;
        field.value = text;
        updateInput(field);
    }

    /** One question at a time; of those that come meanwhile the last is asked. @param {"look" | "find"} what */
    async #ask(what) {
        if (this.#asking) {
            this.#next = what;
            return;
        }
        this.#asking = true;
        await this.#answer(what);
        this.#asking = false;
        const {enabled} = this;
        if (enabled && this.#next) {
            const next = this.#next;
            this.#next = null;
            this.#ask(next);
        }
    }

    /** @param {"look" | "find"} what */
    async #answer(what) {
        const {corners, routes} = tiledDiffusion, picture = this.#picture, moves = this.#moves;
        const own = what === "find" ? null : corners.pairs(this.#handles.corners);
        const holds = () => picture === this.#picture && (what === "look" || moves === this.#moves);
        try {
            const seen = await routes.frame({picture, corners: own, ...this.#fields()});
            if (holds()) this.#show(seen, what);
        } catch (error) {
            if (holds()) this.#say(`${error instanceof Error ? error.message : error}`, true);
        }
    }

    /** How the frame is looked at, as the page's fields say. */
    #fields() {
        const {context, shape} = this.#container.dataset, {valueOf} = tiledDiffusion.gradio;
        const number = (/** @type {string | undefined} */ id) => Number(id ? valueOf(id) : 0) || 0;
        return {context: context ? number(context) : 0.5, shape: number(shape) || null};
    }

    /** @param {SeenFrame} seen @param {"look" | "find"} what */
    #show({corners, flat, shape, told}, what) {
        const {t} = this;
        this.#front.src = flat;
        if (what === "find") {
            this.#handles.place(tiledDiffusion.corners.points(corners));
            this.#write(JSON.stringify(corners));
        }
        const begun = what === "find" ? `${t("This is what was found: correct it by its corners.")} ` : "";
        const guess = told ? "" : `, ${t("by a guess of the lens")}`;
        this.#say(`${begun}${t("Width by height")}: ${shape.toFixed(3)}${guess}`);
    }

    /** @param {string} words @param {boolean} [wrong] */
    #say(words, wrong = false) {
        this.#status.textContent = words;
        this.#status.classList.toggle("td-wrong", wrong);
    }
};

/** All editors of corners: of containers that are there, and of those that come later. */
tiledDiffusion.CornerPage = class CornerPage extends tiledDiffusion.Part {
    static #DELAY_MS = 100;
    /** @type {Map<HTMLElement, tiledDiffusion.CornerEditor>} */
    #editors = new Map();
    /** Tells of editors that come to be seen, for instance as their script is chosen. @type {ResizeObserver | null} */
    #sizes = null;

    constructor() {
        super();
        this.during(() => this.#watch());
        this.during(() => () => this.#clear());
    }

    /** @param {string} text */
    static #translate = text => window.localization?.[text] || text;

    #watch() {
        let timer = 0;
        const soon = () => {
            timer ||= window.setTimeout(() => {
                timer = 0;
                this.#refresh();
            }, CornerPage.#DELAY_MS);
        };
        const observer = new MutationObserver(soon), root = tiledDiffusion.gradio.root();
        const sizes = this.#sizes = new ResizeObserver(soon);
        observer.observe(root, {childList: true, subtree: true, attributes: true, attributeFilter: ["src"]});
        const look = (/** @type {Event} */ event) => this.#changed(event);
        root.addEventListener("input", look);
        soon();
        return () => {
            observer.disconnect();
            sizes.disconnect();
            root.removeEventListener("input", look);
            window.clearTimeout(timer);
        };
    }

    #refresh() {
        /** @type {NodeListOf<HTMLElement>} */
        const containers = tiledDiffusion.gradio.root().querySelectorAll(".td-corners");
        for (const container of containers) this.#editor(container).refresh();
    }

    /** @param {HTMLElement} container */
    #editor(container) {
        const known = this.#editors.get(container);
        if (known) return known;
        const editor = new tiledDiffusion.CornerEditor(container, CornerPage.#translate);
        this.#editors.set(container, editor);
        this.#sizes?.observe(container);
        editor.enable();
        return editor;
    }

    /** A field that says how a frame is looked at. @param {Event} event */
    #changed(event) {
        const at = event.target instanceof HTMLElement ? event.target : null;
        for (const [{dataset}, editor] of this.#editors) {
            if ([dataset.context, dataset.shape].some(id => id && at?.closest(`#${id}`))) editor.look();
        }
    }

    #clear() {
        for (const editor of this.#editors.values()) editor.disable();
        this.#editors.clear();
    }
};

tiledDiffusion.cornerPage = new tiledDiffusion.CornerPage();
