"use strict";
// Fills the line in the panel that says what the settings cost, whenever one of them changes.

/** @type {any} */
var tiledDiffusion = tiledDiffusion || {};

tiledDiffusion.panel = (() => {
    const DELAY = 250;
    /** @type {Record<string, number>} */
    const timers = {};

    /** @returns {Document | ShadowRoot} */
    function root() {
        return typeof gradioApp === "function" ? gradioApp() : document;
    }

    /**
     * The value of a gradio component: a number, text or tick.
     * @param {string} id
     * @returns {string | number | boolean | null}
     */
    function valueOf(id) {
        const box = root().querySelector(`#${id}`);
        if (!box) return null;
        /** @type {HTMLInputElement | null} */
        const tick = box.querySelector("input[type=checkbox]");
        if (tick) return tick.checked;
        /** @type {HTMLInputElement | null} */
        const chosen = box.querySelector("input[type=radio]:checked");
        if (chosen) return chosen.value;
        /** @type {HTMLInputElement | null} */
        const input = box.querySelector("input[type=number]") || box.querySelector("textarea, input");
        if (!input) return null;
        return input.type === "number" ? Number(input.value) : input.value;
    }

    const CONTROLS = [
        "tile_width", "tile_height", "overlap", "tile_batch", "wrap_x", "wrap_y", "width", "height",
        "upscale_factor", "keep_size", "size_conditioning", "grid_seed", "method", "upscaler",
    ];

    /**
     * The panel's controls by name; those that are not there are left out.
     * @param {string} tab
     * @returns {Record<string, any>}
     */
    function controls(tab) {
        /** @type {Record<string, any>} */
        const found = {};
        for (const name of CONTROLS) {
            const value = valueOf(`td_${tab}_${name}`);
            if (value !== null && value !== "") found[name] = value;
        }
        const methods = tiledDiffusion.methods || {};
        if (found.method in methods) found.method = methods[found.method];
        return found;
    }

    /** @param {string} selector @returns {HTMLElement | undefined} The one that is shown. */
    function shown(selector) {
        const found = /** @type {HTMLElement[]} */ ([...root().querySelectorAll(selector)]);
        return found.find(node => getComputedStyle(node).display !== "none");
    }

    /** The picture that img2img begins with, in the mode that is chosen (img2img, sketch, inpaint). @returns {HTMLImageElement | null} */
    function inputImage() {
        const mode = shown("#mode_img2img > div:not(.tab-nav)");
        return mode?.querySelector("img") || root().querySelector("#img2img_image img");
    }

    /**
     * Size of the picture that is to be made, in pixels.
     * @param {string} tab
     * @returns {{width: number, height: number}}
     */
    function canvasSize(tab) {
        const own = controls(tab);
        let width = own.width || Number(valueOf(`${tab}_width`)) || 512;
        let height = own.height || Number(valueOf(`${tab}_height`)) || 512;
        if (tab === "txt2img" && valueOf("txt2img_hr-checkbox") === true) {
            const x = Number(valueOf("txt2img_hr_resize_x")) || 0;
            const y = Number(valueOf("txt2img_hr_resize_y")) || 0;
            const scale = Number(valueOf("txt2img_hr_scale")) || 1;
            [width, height] = x || y ? [x || width * y / height, y || height * x / width] : [width * scale, height * scale];
        }
        if (tab === "img2img") {
            const image = inputImage(), by = shown("#img2img_tab_resize_by");
            const factor = own.upscaler && own.upscaler !== "None" ? Number(own.upscale_factor) || 1 : 1;
            if (image && image.naturalWidth && (own.keep_size || by)) {
                const scale = own.keep_size ? 1 : Number(valueOf("img2img_scale")) || 1;
                [width, height] = [image.naturalWidth * scale, image.naturalHeight * scale];
            }
            [width, height] = [width * factor, height * factor];
        }
        return {width: Math.round(width / 8) * 8, height: Math.round(height / 8) * 8};
    }

    /**
     * Asks for the figures of a tab's plan and shows them.
     * @param {string} tab
     */
    async function refresh(tab) {
        const line = root().querySelector(`#td_${tab}_status`);
        if (!line) return;
        const size = canvasSize(tab);
        const body = {settings: valueOf(`td_${tab}_regions`) || "", controls: controls(tab), ...size, fixed_size: true};
        try {
            const answer = await fetch("tiled-diffusion/plan", {
                method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body),
            });
            const data = await answer.json();
            const words = answer.ok ? [`${size.width} x ${size.height} px: ${data.text}`, ...data.problems] : [String(data.detail)];
            line.textContent = words.join(" · ");
            line.classList.toggle("td-wrong", !answer.ok);
            if (answer.ok) {
                for (const editor of root().querySelectorAll(`.td-editor[data-tab="${tab}"]`)) {
                    editor.dispatchEvent(new CustomEvent("td-plan", {detail: data}));
                }
            }
        } catch (error) {
            line.textContent = "";
        }
    }

    /** @param {string} tab */
    function later(tab) {
        window.clearTimeout(timers[tab]);
        timers[tab] = window.setTimeout(() => refresh(tab), DELAY);
    }

    /** @returns {string[]} The tabs whose panels are on the page now. */
    function tabs() {
        return [...root().querySelectorAll(".td-status")].map(line => /** @type {HTMLElement} */ (line).dataset.tab || "");
    }

    /** Listens to everything on the page that could change a plan. */
    function start() {
        const listen = () => tabs().forEach(later);
        for (const kind of ["input", "change", "click", "drop"]) {
            root().addEventListener(kind, listen, {passive: true});
        }
        const first = () => tabs().length ? listen() : window.setTimeout(first, DELAY);
        first();
    }

    return {start, refresh, later, canvasSize, controls, inputImage};
})();

if (typeof onUiLoaded === "function") onUiLoaded(() => tiledDiffusion.panel.start());
