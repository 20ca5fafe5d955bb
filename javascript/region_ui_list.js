"use strict";
// The list of regions beside the canvas: selecting, ordering, switching on and off, hiding, locking.

tiledDiffusion.list = (() => {
    const {el, buttons, ordered} = tiledDiffusion.ui, paint = tiledDiffusion.paint;
    /** @type {["enabled" | "hidden" | "locked", string, string, string][]} key, word where it is on, where it is off, hint */
    const SWITCHES = [["enabled", "on", "off", "Switch on or off"], ["hidden", "hidden", "shown", "Hide or show"], ["locked", "locked", "free", "Lock or unlock"]];

    /** @param {Editor} ed */
    function createList(ed) {
        const {store, t} = ed, button = buttons(t);
        const node = el("ol", {class: "td-list", "aria-label": t("Regions")});
        /** @type {Map<number, any>} */
        const rows = new Map();

        /** @param {number} id */
        function place(id) { return store.state.regions.findIndex((/** @type {any} */ r) => r.id === id); }

        /** @param {number} id @param {KeyboardEvent} event */
        function key(id, event) {
            if (event.key === "Enter" && event.target === event.currentTarget) ed.select(id, event.shiftKey);
            else if (event.altKey && event.key === "ArrowUp") store.dispatch({type: "reorder", id, to: Math.max(place(id) - 1, 0)});
            else if (event.altKey && event.key === "ArrowDown") store.dispatch({type: "reorder", id, to: place(id) + 1});
            else return;
            rows.get(id).focus();
            event.preventDefault();
            event.stopPropagation();
        }

        /** @param {number} id */
        function made(id) {
            const toggle = (/** @type {string} */ name) => {
                const one = store.state.regions[place(id)];
                store.dispatch({type: "edit", ids: [id], fields: {[name]: !one[name]}});
            };
            return el("li", {
                draggable: "true", "data-id": id, tabindex: "0",
                onclick: (/** @type {any} */ e) => { if (!e.target.closest("button")) ed.select(id, e.shiftKey || e.ctrlKey); },
                onkeydown: (/** @type {KeyboardEvent} */ e) => key(id, e),
                ondragstart: (/** @type {any} */ e) => e.dataTransfer.setData("text/td-region", String(id)),
                ondragover: (/** @type {any} */ e) => e.preventDefault(),
                ondrop: (/** @type {any} */ e) => { e.preventDefault(); e.stopPropagation(); store.dispatch({type: "reorder", id: Number(e.dataTransfer.getData("text/td-region")), to: place(id)}); },
            },
            el("span", {class: "td-swatch"}), el("span", {class: "td-name"}),
            ...SWITCHES.map(([name, , , hint]) => button("", hint, () => toggle(name), {"data-switch": name})));
        }

        /** @param {State} state */
        function render(state) {
            const ids = new Set(state.regions.map(r => r.id));
            for (const [id, row] of rows) if (!ids.has(id)) {
                if (row.contains(row.getRootNode().activeElement)) ed.canvas.stage.focus({preventScroll: true});
                row.remove();
                rows.delete(id);
            }
            ordered(node, state.regions.map((region, n) => {
                const row = rows.get(region.id) || made(region.id);
                rows.set(region.id, row);
                const [swatch, name, ...switches] = row.children;
                row.classList.toggle("td-selected", state.selected.includes(region.id));
                row.setAttribute("aria-current", String(state.selected.includes(region.id)));
                swatch.style.background = paint.colour(n);
                name.textContent = `${n + 1} ${region.name || region.prompt.slice(0, 80) || t("(no prompt)")}`;
                SWITCHES.forEach(([field, on, off], i) => {
                    switches[i].textContent = t(region[field] ? on : off);
                    switches[i].setAttribute("aria-pressed", String(region[field]));
                });
                return row;
            }));
        }

        return {node, render};
    }

    return {createList};
})();
