"use strict";
// The region document: reading it with checks, and writing it, by the table of settings (fields.js).

tiledDiffusion.data = (() => {
    const {version: VERSION, document: DOCUMENT, region: REGION, reroll: REROLL} = tiledDiffusion.table;
    const MAX_REGIONS = DOCUMENT.regions.editor ?? 0, MAX_REROLLS = DOCUMENT.rerolls.most ?? 0;
    const MOST_POLYGONS = REGION.mask.most_polygons ?? 0, MOST_POINTS = REGION.mask.most_points ?? 0;
    /** Of a picture as a mask: the text's length, and pixels on its longer side. */
    const MOST_PICTURE = REGION.mask.most_picture_text ?? 0, MOST_PICTURE_PX = REGION.mask.most_picture_px ?? 0;
    /** The fields of a region, in the order in which they are written. */
    const FIELDS = /** @type {Record<keyof Region, RegionField>} */ (
        Object.fromEntries(Object.entries(REGION).map(([name, setting]) => [name, field(setting)])));
    const REROLL_FIELDS = Object.fromEntries(Object.entries(REROLL).map(([name, setting]) => [name, field(setting)]));
    const FILLS = field(DOCUMENT.fill).choices;
    const NAMES = /** @type {(keyof Region)[]} */ (Object.keys(FIELDS));
    /** @type {unknown} */
    const defaults = Object.fromEntries(NAMES.map(name => [name, FIELDS[name].default]));
    const DEFAULTS = /** @type {Region} */ (defaults);

    /** A setting of the table, as the checks and the form want it. @param {Setting} setting @returns {RegionField} */
    function field({default: value, low = -Infinity, high = Infinity, most = Infinity, choices = [], type, widget}) {
        return {
            default: value, range: [low, high], length: most, choices: choices.map(([name]) => name),
            ...(widget?.low !== undefined && widget.high !== undefined && {offered: [widget.low, widget.high]}),
            ...(widget?.step !== undefined ? {step: widget.step} : type === "whole" && {step: 1}),
        };
    }

    /** A value that may not be; the message names it. */
    class DataError extends Error {}

    /** @param {string} name @param {unknown} got @param {string} allowed @returns {never} */
    function fail(name, got, allowed) {
        const text = JSON.stringify(got), short = text && text.length > 60 ? text.slice(0, 57) + "..." : text;
        throw new DataError(`${name}: got ${short}, allowed is ${allowed}`);
    }

    /** @param {string} name @param {unknown} v @param {readonly number[]} range */
    function number(name, v, [low, high]) {
        if (typeof v !== "number" || !(v >= low && v <= high)) fail(name, v, `a number from ${low} to ${high}`);
    }

    /** @param {string} name @param {unknown} v @param {readonly number[]} range */
    function whole(name, v, [low, high]) {
        if (typeof v !== "number" || !Number.isInteger(v) || v < low || v > high) {
            fail(name, v, `a whole number from ${low} to ${high}`);
        }
    }

    /** @param {string} name @param {unknown} v @param {number} most */
    function text(name, v, most) {
        if (typeof v !== "string") return fail(name, v, "text");
        if ([...v].length > most) fail(name, `${v.length} characters`, `at most ${most} characters`);
    }

    /** @param {string} name @param {unknown} v @param {readonly unknown[]} choices */
    function choice(name, v, choices) {
        if (!choices.includes(v)) fail(name, v, `one of ${choices.join(", ")}`);
    }

    /** @param {string} name @param {unknown} v */
    function bool(name, v) {
        if (typeof v !== "boolean") fail(name, v, "true or false");
    }

    /** @param {string} at @param {Box} r not checked yet */
    function box(at, r) {
        for (const side of /** @type {const} */ (["x", "y", "w", "h"])) {
            number(`${at}.${side}`, r[side], FIELDS[side].range);
        }
    }

    /** @param {string} at @param {unknown} v */
    function polygons(at, v) {
        if (!Array.isArray(v) || !v.length || v.length > MOST_POLYGONS || !v.every(Array.isArray)) {
            return fail(at, v, `1 to ${MOST_POLYGONS} lists of points`);
        }
        if (v.flat().length > MOST_POINTS) fail(at, v.flat().length, `at most ${MOST_POINTS} points`);
        for (const polygon of v) {
            if (polygon.length < 3) fail(at, polygon, "3 points or more");
            for (const point of polygon) if (!isPoint(point)) fail(at, point, "a point [x, y] of numbers from 0 to 1");
        }
    }

    /** @param {unknown} v */
    function isPoint(v) {
        return Array.isArray(v) && v.length === 2 && v.every(c => typeof c === "number" && c >= 0 && c <= 1);
    }

    /** Width and height of a PNG, from its header. @param {string} base64 */
    function pngSize(base64) {
        if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64) || base64.length % 4) return null;
        const bytes = atob(base64.slice(0, 64));
        if (bytes.length < 24 || bytes.slice(1, 4) !== "PNG") return null;
        const at = (/** @type {number} */ i) => [0, 1, 2, 3].reduce((sum, k) => sum * 256 + bytes.charCodeAt(i + k), 0);
        return {w: at(16), h: at(20)};
    }

    /** @param {string} at @param {unknown} v */
    function mask(at, v) {
        if (v === null) return;
        const keys = v && typeof v === "object" ? Object.keys(v) : [];
        if (keys.length !== 1 || !["polygons", "picture"].includes(keys[0])) fail(at, v, "polygons or a picture");
        const shape = /** @type {{polygons?: unknown, picture?: unknown}} */ (v);
        if (keys[0] === "polygons") polygons(`${at}.polygons`, shape.polygons);
        else picture(`${at}.picture`, shape.picture);
    }

    /** @param {string} at @param {unknown} v */
    function picture(at, v) {
        text(at, v, MOST_PICTURE);
        const size = pngSize(String(v));
        if (!size || size.w > MOST_PICTURE_PX || size.h > MOST_PICTURE_PX) {
            fail(at, v, `the base64 text of a PNG of at most ${MOST_PICTURE_PX} x ${MOST_PICTURE_PX} pixels`);
        }
    }

    /** @param {unknown} v @param {string} at @param {string[]} known @returns {object} */
    function object(v, at, known) {
        if (!v || typeof v !== "object" || Array.isArray(v)) return fail(at, v, "a JSON object {...}");
        const unknown = Object.keys(v).find(key => !known.includes(key));
        if (unknown === undefined) return v;
        throw new DataError(`${at}: unknown field '${unknown}'; known are ${known.join(", ")}`);
    }

    /** One region with all its fields. @param {unknown} v @param {string} at @returns {Region} */
    function region(v, at) {
        const given = object(v, at, NAMES);
        if (!("prompt" in given)) throw new DataError(`${at}: the field 'prompt' is missing`);
        const r = /** @type {Region} */ ({...DEFAULTS, ...given});
        texts(r, at);
        box(at, r);
        mask(`${at}.mask`, r.mask);
        for (const name of /** @type {const} */ (["join", "layer", "feather_shape", "fit"])) {
            choice(`${at}.${name}`, r[name], FIELDS[name].choices);
        }
        for (const name of /** @type {const} */ (["enabled", "controlnet", "flip"])) bool(`${at}.${name}`, r[name]);
        numbers(r, at);
        return r;
    }

    /** @param {Region} r @param {string} at */
    function texts(r, at) {
        text(`${at}.prompt`, r.prompt, FIELDS.prompt.length);
        text(`${at}.name`, r.name, FIELDS.name.length);
        for (const name of /** @type {const} */ (["negative_prompt", "picture", "picture_sha256"])) {
            const given = r[name];
            if (given !== null) text(`${at}.${name}`, given, FIELDS[name].length);
        }
    }

    /** @param {Region} r @param {string} at */
    function numbers(r, at) {
        if (r.seed !== null) whole(`${at}.seed`, r.seed, FIELDS.seed.range);
        if (r.cfg_scale !== null) number(`${at}.cfg_scale`, r.cfg_scale, FIELDS.cfg_scale.range);
        for (const name of /** @type {const} */ (["feather", "weight", "step_from", "step_to", "bootstrap", "keep"])) {
            number(`${at}.${name}`, r[name], FIELDS[name].range);
        }
        if (r.step_from >= r.step_to) fail(`${at}.step_to`, r.step_to, `a number above step_from, ${r.step_from}`);
    }

    /** @param {unknown} v @param {string} at @returns {Reroll} */
    function reroll(v, at) {
        const given = /** @type {Reroll} */ (object(v, at, ["seed", "x", "y", "w", "h", "mode", "noise"]));
        if (!("seed" in given)) throw new DataError(`${at}: the field 'seed' is missing`);
        const r = {x: 0, y: 0, w: 1, h: 1, mode: "full", noise: 1, ...given};
        whole(`${at}.seed`, r.seed, REROLL_FIELDS.seed.range);
        box(at, r);
        choice(`${at}.mode`, r.mode, REROLL_FIELDS.mode.choices);
        number(`${at}.noise`, r.noise, REROLL_FIELDS.noise.range);
        return given;
    }

    /** A checked document. @param {unknown} v @returns {RegionDocument} */
    function read(v) {
        const given = object(v, "regions", ["version", "regions", "fill", "rerolls"]);
        if ("version" in given) whole("version", given.version, [1, VERSION]);
        const full = {regions: [], fill: "main", rerolls: [], ...given};
        const {regions, fill, rerolls} = /** @type {RegionDocument} */ (full);
        if (!Array.isArray(regions)) fail("regions", regions, "a list");
        if (regions.length > MAX_REGIONS) fail("regions", regions.length, `at most ${MAX_REGIONS} regions`);
        if (!Array.isArray(rerolls) || rerolls.length > MAX_REROLLS) {
            fail("rerolls", rerolls, `a list of at most ${MAX_REROLLS}`);
        }
        choice("fill", fill, FILLS);
        return {
            regions: regions.map((r, i) => region(r, `regions[${i}]`)), fill,
            rerolls: rerolls.map((r, i) => reroll(r, `rerolls[${i}]`)),
        };
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

    /**
     * Only the fields of the document that differ from their defaults.
     * @param {Region} region @returns {Partial<Region>}
     */
    function plain(region) {
        const changed = NAMES.filter(name => name !== "prompt" && region[name] !== DEFAULTS[name]);
        return {prompt: region.prompt, ...Object.fromEntries(changed.map(name => [name, region[name]]))};
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

    return {
        FIELDS, DEFAULTS, MAX_REGIONS, MOST_POLYGONS, MOST_POINTS, DataError, read, parse, write, plain, region,
    };
})();
