"use strict";
// The editor's icons: lines in a square of 24, drawn for this project.

tiledDiffusion.icons = (() => {
    /** @type {Record<string, string>} */
    const PATHS = {
        select: "M5 3l14 8-6.5 1.5L9.5 19z",
        rectangle: "M4 6h16v12H4z",
        ellipse: "M12 5c5 0 8.5 3 8.5 7s-3.5 7-8.5 7-8.5-3-8.5-7 3.5-7 8.5-7z",
        polygon: "M12 3l9 7-3.5 10h-11L3 10z",
        brush: "M20 4L11 14M8.5 13.5c-2.5 0-3.5 1.5-3.5 3.5 0 1.5-1 2.5-2 3 4 1 8 .5 8.5-3 .2-2-1-3.5-3-3.5z",
        eraser: "M9 20h11M4 14.5L13.5 5 20 11.5 11.5 20H9zM9 9.5l6.5 6.5",
        whole: "M4 5h16v14H4zM9 9l6 6M15 9l-6 6",
        undo: "M9 6l-5 5 5 5M4 11h10a6 6 0 0 1 6 6v1",
        redo: "M15 6l5 5-5 5M20 11H10a6 6 0 0 0-6 6v1",
        columns: "M4 5h16v14H4zM12 5v14",
        columns3: "M4 5h16v14H4zM9.3 5v14M14.7 5v14",
        middle: "M4 5h16v14H4zM8 5v14M16 5v14",
        rows: "M4 5h16v14H4zM4 12h16",
        rows3: "M4 5h16v14H4zM4 9.7h16M4 14.3h16",
        grid: "M4 5h16v14H4zM12 5v14M4 12h16",
        split: "M12 3v18M8 8l-4 4 4 4M16 8l4 4-4 4",
        fill: "M4 5h16v14H4zM4 12l7-7M4 19L18 5M11 19l9-9M17 19l3-3",
        picture: "M4 5h16v14H4zM4 16l5-4 4 3 3-2 4 3M9 9.5v.01",
        addPicture: "M14 5H4v14h16v-8M4 16l5-4 4 3 3-2 4 3M19 3v6M16 6h6",
        under: "M8 4h12v10H8zM4 9v11h12",
        close: "M6 6l12 12M18 6L6 18",
        save: "M12 4v11M7.5 11l4.5 4.5 4.5-4.5M5 20h14",
        open: "M12 16V5M7.5 9.5L12 5l4.5 4.5M5 20h14",
        kept: "M6 4h12v16l-6-4-6 4z",
        tiles: "M9 4v16M15 4v16M4 9h16M4 15h16",
        closer: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5L20 20M8 10.5h5M10.5 8v5",
        away: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5L20 20M8 10.5h5",
        fit: "M3 6h18v12H3zM8 10h8v4H8z",
        full: "M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5",
        on: "M12 4v8M7.5 6.5a7 7 0 1 0 9 0",
        eye: "M2.5 12c5-8.5 14-8.5 19 0-5 8.5-14 8.5-19 0zM12 9.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z",
        lock: "M6 11h12v9H6zM8.5 11V8a3.5 3.5 0 0 1 7 0v3",
        dice: "M5 5h14v14H5zM9 9v.01M15 15v.01M15 9v.01M9 15v.01",
        last: "M5 5v4h4M5.5 9A7.5 7.5 0 1 1 4.5 13M12 8v4.5l3 2",
        hint: "M12 4a6 6 0 0 0-3 11v3h6v-3a6 6 0 0 0-3-11zM10 21h4",
    };

    /** @param {string} name @returns {SVGElement} */
    function icon(name) {
        const make = (/** @type {string} */ tag) => document.createElementNS("http://www.w3.org/2000/svg", tag);
        const node = /** @type {SVGElement} */ (make("svg")), path = make("path");
        for (const [key, value] of Object.entries({class: "td-icon", viewBox: "0 0 24 24", "aria-hidden": "true"})) {
            node.setAttribute(key, value);
        }
        path.setAttribute("d", PATHS[name]);
        node.append(path);
        return node;
    }

    return {icon, names: Object.keys(PATHS)};
})();
