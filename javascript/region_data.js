"use strict";
// The region document: reading it with checks, and writing it. The same rules as in tiled_diffusion/settings.py.

/** @typedef {{polygons: number[][][]} | {picture: string}} Mask */
/** @typedef {Box & {prompt: string, name: string, mask: Mask | null, enabled: boolean, negative_prompt: string | null,
 *   join: string, layer: string, feather: number, feather_shape: string, weight: number, seed: number | null,
 *   cfg_scale: number | null, step_from: number, step_to: number, controlnet: boolean, bootstrap: number}} Region */
/** @typedef {{regions: Region[], fill: string, rerolls: any[]}} RegionDocument */

tiledDiffusion.data = (() => {
    const VERSION = 2, MAX_REGIONS = 64, MAX_SEED = 2 ** 53 - 1;
    /** @type {Region} */
    const DEFAULTS = {
        prompt: "", name: "", x: 0, y: 0, w: 1, h: 1, mask: null, enabled: true, negative_prompt: null, join: "replace",
        layer: "background", feather: 0.2, feather_shape: "smooth", weight: 1, seed: null, cfg_scale: null, step_from: 0,
        step_to: 1, controlnet: true, bootstrap: 0,
    };
    const JOINS = ["replace", "append", "prepend"], LAYERS = ["background", "foreground"];
    const SHAPES = ["smooth", "linear", "quadratic"], FILLS = ["main", "none"], MODES = ["full", "exclusive"];

    /** A value that may not be; the message names it. */
    class DataError extends Error {}

    /** @param {string} name @param {any} got @param {string} allowed @returns {never} */
    function fail(name, got, allowed) {
        const text = JSON.stringify(got);
        throw new DataError(`${name}: got ${text && text.length > 60 ? text.slice(0, 57) + "..." : text}, allowed is ${allowed}`);
    }

    /** @param {string} name @param {any} v @param {number} low @param {number} high */
    function number(name, v, low, high) {
        if (typeof v !== "number" || !(v >= low && v <= high)) fail(name, v, `a number from ${low} to ${high}`);
    }

    /** @param {string} name @param {any} v @param {number} low @param {number} high */
    function whole(name, v, low, high) {
        if (!Number.isInteger(v) || v < low || v > high) fail(name, v, `a whole number from ${low} to ${high}`);
    }

    /** @param {string} name @param {any} v @param {number} [most] */
    function text(name, v, most = Infinity) {
        if (typeof v !== "string") fail(name, v, "text");
        if ([...v].length > most) fail(name, `${v.length} characters`, `at most ${most} characters`);
    }

    /** @param {string} name @param {any} v @param {string[]} choices */
    function choice(name, v, choices) {
        if (!choices.includes(v)) fail(name, v, `one of ${choices.join(", ")}`);
    }

    /** @param {string} name @param {any} v */
    function bool(name, v) {
        if (typeof v !== "boolean") fail(name, v, "true or false");
    }

    /** @param {string} at @param {any} r */
    function box(at, r) {
        number(`${at}.x`, r.x, 0, 1);
        number(`${at}.y`, r.y, 0, 1);
        number(`${at}.w`, r.w, 1e-4, 1);
        number(`${at}.h`, r.h, 1e-4, 1);
        if (r.x + r.w > 1.0001) fail(`${at}.w`, r.w, `at most ${1 - r.x}`);
        if (r.y + r.h > 1.0001) fail(`${at}.h`, r.h, `at most ${1 - r.y}`);
    }

    /** @param {string} at @param {any} v */
    function polygons(at, v) {
        if (!Array.isArray(v) || !v.length || v.length > 32 || !v.every(Array.isArray)) fail(at, v, "1 to 32 lists of points");
        if (v.flat().length > 2000) fail(at, v.flat().length, "at most 2000 points");
        for (const polygon of v) {
            if (polygon.length < 3) fail(at, polygon, "3 points or more");
            for (const point of polygon) {
                const fine = Array.isArray(point) && point.length === 2 && point.every(c => typeof c === "number" && c >= 0 && c <= 1);
                if (!fine) fail(at, point, "a point [x, y] of numbers from 0 to 1");
            }
        }
    }

    /** Width and height of a PNG, from its header. @param {string} base64 */
    function pngSize(base64) {
        if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64) || base64.length % 4) return null;
        const bytes = atob(base64.slice(0, 64));
        if (bytes.length < 24 || bytes.slice(1, 4) !== "PNG") return null;
        const at = (/** @type {number} */ i) => [0, 1, 2, 3].reduce((sum, k) => sum * 256 + bytes.charCodeAt(i + k), 0);
        return {w: at(16), h: at(20)};
    }

    /** @param {string} at @param {any} v */
    function mask(at, v) {
        if (v === null) return;
        const keys = v && typeof v === "object" ? Object.keys(v) : [];
        if (keys.length !== 1 || !["polygons", "picture"].includes(keys[0])) fail(at, v, "polygons or a picture");
        if (keys[0] === "polygons") return polygons(`${at}.polygons`, v.polygons);
        text(`${at}.picture`, v.picture, 65536);
        const size = pngSize(v.picture);
        if (!size || size.w > 512 || size.h > 512) fail(`${at}.picture`, v.picture, "the base64 text of a PNG of at most 512 x 512 pixels");
    }

    /** @param {any} v @param {string} at @param {string[]} known */
    function object(v, at, known) {
        if (!v || typeof v !== "object" || Array.isArray(v)) fail(at, v, "a JSON object {...}");
        for (const key of Object.keys(v)) {
            if (!known.includes(key)) throw new DataError(`${at}: unknown field '${key}'; known are ${known.join(", ")}`);
        }
    }

    /** One region with all its fields. @param {any} v @param {string} at @returns {Region} */
    function region(v, at) {
        object(v, at, Object.keys(DEFAULTS));
        if (!("prompt" in v)) throw new DataError(`${at}: the field 'prompt' is missing`);
        const r = {...DEFAULTS, ...v};
        text(`${at}.prompt`, r.prompt, 20000);
        text(`${at}.name`, r.name, 100);
        if (r.negative_prompt !== null) text(`${at}.negative_prompt`, r.negative_prompt, 20000);
        box(at, r);
        mask(`${at}.mask`, r.mask);
        choice(`${at}.join`, r.join, JOINS);
        choice(`${at}.layer`, r.layer, LAYERS);
        choice(`${at}.feather_shape`, r.feather_shape, SHAPES);
        number(`${at}.feather`, r.feather, 0, 1);
        number(`${at}.weight`, r.weight, 1e-4, 1e4);
        bool(`${at}.enabled`, r.enabled);
        bool(`${at}.controlnet`, r.controlnet);
        if (r.seed !== null) whole(`${at}.seed`, r.seed, 0, MAX_SEED);
        if (r.cfg_scale !== null) number(`${at}.cfg_scale`, r.cfg_scale, 0, 50);
        number(`${at}.step_from`, r.step_from, 0, 1);
        number(`${at}.step_to`, r.step_to, 0, 1);
        if (r.step_from >= r.step_to) fail(`${at}.step_to`, r.step_to, `a number above step_from, ${r.step_from}`);
        number(`${at}.bootstrap`, r.bootstrap, 0, 1);
        return r;
    }

    /** @param {any} v @param {string} at */
    function reroll(v, at) {
        object(v, at, ["seed", "x", "y", "w", "h", "mode"]);
        if (!("seed" in v)) throw new DataError(`${at}: the field 'seed' is missing`);
        const r = {x: 0, y: 0, w: 1, h: 1, mode: "full", ...v};
        whole(`${at}.seed`, r.seed, 0, MAX_SEED);
        box(at, r);
        choice(`${at}.mode`, r.mode, MODES);
        return v;
    }

    /** A checked document. @param {any} v @returns {RegionDocument} */
    function read(v) {
        object(v, "regions", ["version", "regions", "fill", "rerolls"]);
        if ("version" in v) whole("version", v.version, 1, VERSION);
        const {regions = [], fill = "main", rerolls = []} = v;
        if (!Array.isArray(regions)) fail("regions", regions, "a list");
        if (regions.length > MAX_REGIONS) fail("regions", regions.length, `at most ${MAX_REGIONS} regions`);
        if (!Array.isArray(rerolls) || rerolls.length > 64) fail("rerolls", rerolls, "a list of at most 64");
        choice("fill", fill, FILLS);
        return {regions: regions.map((r, i) => region(r, `regions[${i}]`)), fill, rerolls: rerolls.map((r, i) => reroll(r, `rerolls[${i}]`))};
    }

    /** A document from text; an empty one from nothing. @param {string} json @returns {RegionDocument} */
    function parse(json) {
        if (!json.trim()) return {regions: [], fill: "main", rerolls: []};
        let value;
        try {
            value = JSON.parse(json);
        } catch (error) {
            throw new DataError(`regions: this is no valid JSON: ${error instanceof Error ? error.message : error}`);
        }
        return read(value);
    }

    /** Only the fields of the document that differ from their defaults. @param {any} region */
    function plain(region) {
        /** @type {Record<string, any>} */
        const out = {prompt: region.prompt};
        for (const [key, value] of Object.entries(DEFAULTS)) {
            if (key !== "prompt" && region[key] !== value) out[key] = region[key];
        }
        return out;
    }

    /** The document as JSON text; no text where there is nothing to say. @param {RegionDocument} document */
    function write(document) {
        const {regions, fill, rerolls} = document;
        if (!regions.length && fill === "main" && !rerolls.length) return "";
        return JSON.stringify({
            version: VERSION, ...(regions.length ? {regions: regions.map(plain)} : {}),
            ...(fill !== "main" ? {fill} : {}), ...(rerolls.length ? {rerolls} : {}),
        });
    }

    return {DEFAULTS, MAX_REGIONS, DataError, read, parse, write, plain, region};
})();
