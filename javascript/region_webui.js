"use strict";
// Puts editors into the page, and carries their state to and from it. The only file that knows the WebUI.

/** @type {Record<string, {store: any, view: any, sent: string, destroy: () => void}>} */
tiledDiffusion.editors = {};

tiledDiffusion.webui = (() => {
    const BASE = "tiled-diffusion/presets";

    /** @returns {Document | ShadowRoot} */
    function page() {
        return typeof gradioApp === "function" ? gradioApp() : document;
    }

    /** @param {string} tab @returns {HTMLTextAreaElement | HTMLInputElement | null} */
    function carrier(tab) {
        return page().querySelector(`#td_${tab}_regions textarea, #td_${tab}_regions input`);
    }

    /** @param {string} text */
    function translate(text) {
        const found = /** @type {any} */ (window).localization;
        return (found && found[text]) || text;
    }

    /** @param {string} path @param {string} [method] @param {any} [body] */
    async function call(path, method = "GET", body) {
        const answer = await fetch(path, {method, ...(body === undefined ? {} : {headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)})});
        const data = await answer.json().catch(() => ({}));
        if (!answer.ok) throw new Error(data.detail || `${answer.status}`);
        return data;
    }

    const presets = {
        /** A region file of any kind as a region document. @param {any} data */
        convert: data => call("tiled-diffusion/import", "POST", data),
        list: () => call(BASE),
        /** @param {string} name */
        load: name => call(`${BASE}/${encodeURIComponent(name)}`),
        /** @param {string} name @param {any} document */
        save: (name, document) => call(`${BASE}/${encodeURIComponent(name)}`, "PUT", document),
        /** @param {string} name @param {string} to */
        rename: (name, to) => call(`${BASE}/${encodeURIComponent(name)}/rename`, "POST", {to}),
        /** @param {string} name */
        remove: name => call(`${BASE}/${encodeURIComponent(name)}`, "DELETE"),
    };

    /** @param {string} selector */
    function pictureAt(selector) {
        const image = /** @type {HTMLImageElement | null} */ (page().querySelector(selector));
        return image ? image.src : null;
    }

    /** The seed of the picture that was made last, from its record below the gallery. @param {string} tab */
    function lastSeed(tab) {
        const words = page().querySelector(`#html_info_${tab}, #${tab}_results`)?.textContent || "";
        const found = words.match(/Seed: (\d+)/);
        return found ? Number(found[1]) : null;
    }

    /** @param {string} name @param {string} text */
    function keep(name, text) {
        try {
            localStorage.setItem(`tiled-diffusion-${name}`, text);
        } catch { /* a full or forbidden storage: only the draft is lost */ }
    }

    /** Writes an editor's state into the page's carrier, and keeps a draft. @param {string} tab */
    function send(tab) {
        const editor = tiledDiffusion.editors[tab], box = carrier(tab);
        const text = tiledDiffusion.store.toText(editor.store.state);
        if (text === editor.sent) return;
        editor.sent = text;
        keep(tab, text);
        if (box && box.value !== text) {
            box.value = text;
            updateInput(box);
        }
        tiledDiffusion.panel?.later(tab);
    }

    /** What the page's carrier says holds, if it is not what was sent. @param {string} tab @param {string} text */
    function load(tab, text) {
        const editor = tiledDiffusion.editors[tab];
        if (!editor || text === editor.sent) return;
        try {
            const document = tiledDiffusion.data.parse(text || "");
            editor.store.dispatch({type: "load", document});
        } catch (error) {
            editor.view.say(`${translate("These regions cannot be read:")} ${error instanceof Error ? error.message : error}`);
            keep(`${tab}-unread`, text);
        }
    }

    /** Prompts' lengths, as the loaded model counts them. @param {string[]} texts */
    function tokens(texts) {
        return call("tiled-diffusion/tokens", "POST", {texts}).then(found => found.counts);
    }

    /** Gives a prompt field to the tag-autocomplete extension, where there is one. @param {HTMLTextAreaElement} area */
    function autocomplete(area) {
        try {
            /** @type {any} */ (window).addAutocompleteToArea?.(area);
        } catch { /* it is there, but has not been set up yet: the next selected region asks again */ }
    }

    /** @param {HTMLElement} container */
    function mount(container) {
        const tab = container.dataset.tab || "";
        if (container.dataset.mounted) return;
        container.dataset.mounted = "true";
        tiledDiffusion.editors[tab]?.destroy();
        const store = tiledDiffusion.store.createStore();
        let unit = 8;
        const planned = (/** @type {any} */ event) => { unit = event.detail.unit || unit; };
        container.addEventListener("td-plan", planned);
        const host = {
            size: () => tiledDiffusion.panel.canvasSize(tab), unit: () => unit, translate, presets, tokens, onField: autocomplete,
            controlnet: container.dataset.controlnet !== "false",
            pictures: {
                ...tab === "img2img" ? {input: () => tiledDiffusion.panel.inputImage()?.src || null} : {},
                last: () => pictureAt(`#${tab}_gallery img, #${tab}_results img`),
            },
            seed: () => lastSeed(tab),
        };
        const view = tiledDiffusion.view.createEditor(container, store, host);
        const stop = store.subscribe(() => send(tab));
        const destroy = () => {
            stop();
            view.destroy();
            container.removeEventListener("td-plan", planned);
            delete tiledDiffusion.editors[tab];
        };
        tiledDiffusion.editors[tab] = {store, view, sent: "", destroy};
        const begun = carrier(tab)?.value || draft(tab);
        if (begun) {
            load(tab, begun);
            tiledDiffusion.editors[tab].sent = "";
        }
        send(tab);
    }

    /** @param {string} tab */
    function draft(tab) {
        try {
            return localStorage.getItem(`tiled-diffusion-${tab}`) || "";
        } catch {
            return "";
        }
    }

    function mountAll() {
        for (const container of page().querySelectorAll(".td-editor:not([data-mounted])")) mount(/** @type {HTMLElement} */ (container));
    }

    /** @type {MutationObserver | null} */
    let observer = null;

    /** Mounts what is there, and what comes later: some versions of gradio make an accordion's content when it is opened. */
    function start() {
        let waiting = false;
        mountAll();
        observer = new MutationObserver(() => {
            if (waiting) return;
            waiting = true;
            setTimeout(() => { waiting = false; if (observer) mountAll(); }, 50);
        });
        observer.observe(page(), {childList: true, subtree: true});
    }

    /** Takes every editor off the page, and all that listens for new ones. */
    function stop() {
        observer?.disconnect();
        observer = null;
        for (const editor of Object.values(tiledDiffusion.editors)) editor.destroy();
    }

    return {start, stop, load};
})();

tiledDiffusion.load = tiledDiffusion.webui.load;
if (typeof onUiLoaded === "function") onUiLoaded(tiledDiffusion.webui.start);
