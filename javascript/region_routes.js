"use strict";
// What the server is asked for: plans, presets, tokens, other extensions' files, frames. No DOM.

tiledDiffusion.routes = (() => {
    const BASE = "tiled-diffusion", PRESETS = `${BASE}/presets`;

    /** @param {string} path @param {string} method @param {unknown} [body] */
    function ask(path, method, body) {
        const sent = {headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)};
        return fetch(path, {method, ...(body === undefined ? {} : sent)});
    }

    /**
     * The server's answer; an error that says why where it refuses.
     * @template T @param {string} path @param {string} [method] @param {unknown} [body] @returns {Promise<T>}
     */
    async function call(path, method = "GET", body) {
        const answer = await ask(path, method, body);
        const data = await answer.json().catch(() => ({}));
        if (!answer.ok) throw new Error(data.detail || `${answer.status}`);
        return data;
    }

    /** @param {string} name */
    function pathOf(name) {
        return `${PRESETS}/${encodeURIComponent(name)}`;
    }

    /** @type {Presets} */
    const presets = {
        convert: data => call(`${BASE}/import`, "POST", data),
        list: () => call(PRESETS),
        load: name => call(pathOf(name)),
        save: (name, document) => call(pathOf(name), "PUT", document),
        rename: (name, to) => call(`${pathOf(name)}/rename`, "POST", {to}),
        remove: name => call(pathOf(name), "DELETE"),
    };

    /** Prompts' lengths, as the loaded model counts them. @param {string[]} texts */
    async function tokens(texts) {
        /** @type {{counts: [number, number][]}} */
        const {counts} = await call(`${BASE}/tokens`, "POST", {texts});
        return counts;
    }

    /**
     * What a job would cost; or, as a text, why there would be none.
     * @param {unknown} job @returns {Promise<PlanFigures | string>}
     */
    async function plan(job) {
        const answer = await ask(`${BASE}/plan`, "POST", job), data = await answer.json();
        return answer.ok ? data : String(data.detail);
    }

    /** How a frame in a photo looks from the front. @param {FrameQuestion} question @returns {Promise<SeenFrame>} */
    function frame(question) {
        return call(`${BASE}/frame`, "POST", question);
    }

    return {presets, tokens, plan, frame};
})();
