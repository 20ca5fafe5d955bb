"use strict";
// The list of regions beside the canvas: selecting, ordering, switching on and off, hiding, locking.

tiledDiffusion.RegionList = class RegionList extends tiledDiffusion.Widget {
    /** @typedef {"enabled" | "hidden" | "locked"} Switch */
    /** @type {[name: Switch, sign: string, hint: string][]} */
    static #SWITCHES = [
        ["enabled", "on", "Switch on or off"], ["hidden", "eye", "Hide or show"], ["locked", "lock", "Lock or unlock"],
    ];
    /** What a dragged row is called on the clipboard. */
    static #KIND = "text/td-region";
    /** So many letters of a prompt are shown. */
    static #LETTERS = 80;
    /** @type {Map<number, HTMLElement>} */
    #rows = new Map();
    #store;
    #canvas;

    /** @param {RegionStore} store @param {Translate} t @param {Focusable} canvas takes the focus of rows that go */
    constructor(store, t, canvas) {
        super(t);
        this.#store = store;
        this.#canvas = canvas;
        this.node = tiledDiffusion.ui.el("ol", {class: "td-list", "aria-label": t("Regions")});
        this.follow(store, state => this.render(state));
        this.on(this.node, "click", event => this.#click(event));
        this.on(this.node, "keydown", event => this.#key(event));
        this.on(this.node, "dragstart", event => this.#drag(event));
        this.on(this.node, "dragover", event => { if (this.#idAt(event)) event.preventDefault(); });
        this.on(this.node, "drop", event => this.#drop(event));
    }

    /** @param {State} state */
    render({regions, selected}) {
        this.#remove(new Set(regions.map(r => r.id)));
        const rows = regions.map((region, n) => this.#shown(region, n, selected.includes(region.id)));
        tiledDiffusion.ui.ordered(this.node, rows);
    }

    /** @param {Set<number>} ids of those that stay */
    #remove(ids) {
        for (const [id, row] of this.#rows) {
            if (ids.has(id)) continue;
            if (tiledDiffusion.ui.hasFocus(row)) this.#canvas.focus();
            row.remove();
            this.#rows.delete(id);
        }
    }

    /** A region's row, as it is now. @param {EditorRegion} region @param {number} n @param {boolean} selected */
    #shown(region, n, selected) {
        const row = this.#rows.get(region.id) || this.#made(region.id);
        const prompt = region.prompt.slice(0, RegionList.#LETTERS);
        const [swatch, name, ...switches] = /** @type {HTMLElement[]} */ ([...row.children]);
        row.classList.toggle("td-selected", selected);
        row.setAttribute("aria-current", String(selected));
        swatch.style.background = tiledDiffusion.paint.colour(n);
        const nameless = region.picture === null ? this.t("(no prompt)") : this.t("(picture)");
        name.textContent = `${n + 1} ${region.name || prompt || nameless}`;
        RegionList.#SWITCHES.forEach(([field], i) => switches[i].setAttribute("aria-pressed", String(region[field])));
        return row;
    }

    /** @param {number} id */
    #made(id) {
        const {el} = tiledDiffusion.ui;
        const swatch = el("span", {class: "td-swatch"}), name = el("span", {class: "td-name"});
        const {icon} = tiledDiffusion.icons;
        const switches = RegionList.#SWITCHES.map(([field, sign, hint]) => {
            const words = this.t(hint), names = {title: words, "aria-label": words};
            return el("button", {type: "button", ...names, "data-switch": field}, icon(sign));
        });
        const row = el("li", {draggable: "true", "data-id": id, tabindex: "0"}, swatch, name, ...switches);
        this.#rows.set(id, row);
        return row;
    }

    /** @param {Event} event @returns {HTMLElement | null} */
    #rowAt(event) {
        return /** @type {HTMLElement} */ (event.target).closest("li");
    }

    /** The region whose row an event is in; 0 where it is in none. @param {Event} event */
    #idAt(event) {
        return Number(this.#rowAt(event)?.dataset.id || 0);
    }

    /** @param {number} id */
    #placeOf(id) {
        return this.#store.state.regions.findIndex(r => r.id === id);
    }

    /** @param {MouseEvent} event */
    #click(event) {
        const id = this.#idAt(event), button = /** @type {HTMLElement} */ (event.target).closest("button");
        const region = this.#store.state.regions[this.#placeOf(id)];
        if (!region) return;
        if (!button) return this.#store.pick(id, event.shiftKey || event.ctrlKey);
        const field = /** @type {Switch} */ (button.dataset.switch);
        this.#store.dispatch({type: "edit", ids: [id], fields: {[field]: !region[field]}});
    }

    /** @param {KeyboardEvent} event */
    #key(event) {
        const row = this.#rowAt(event), id = this.#idAt(event), at = this.#placeOf(id);
        if (!row) return;
        if (event.key === "Enter" && event.target === row) this.#store.pick(id, event.shiftKey);
        else if (event.altKey && event.key === "ArrowUp") this.#move(id, Math.max(at - 1, 0));
        else if (event.altKey && event.key === "ArrowDown") this.#move(id, at + 1);
        else return;
        row.focus();
        event.preventDefault();
        event.stopPropagation();
    }

    /** @param {DragEvent} event */
    #drag(event) {
        event.dataTransfer?.setData(RegionList.#KIND, String(this.#idAt(event)));
    }

    /** @param {DragEvent} event */
    #drop(event) {
        const id = this.#idAt(event);
        if (!id) return;
        event.preventDefault();
        event.stopPropagation();
        this.#move(Number(event.dataTransfer?.getData(RegionList.#KIND)), this.#placeOf(id));
    }

    /** @param {number} id @param {number} to */
    #move(id, to) {
        this.#store.dispatch({type: "reorder", id, to});
    }
};
