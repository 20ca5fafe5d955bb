"use strict";
// The fields of the selected region. They are made once, so that other scripts can take hold of the prompts.

tiledDiffusion.fields = (() => {
    const {el, buttons} = tiledDiffusion.ui, {weighted, balanced} = tiledDiffusion.text;
    const TOKEN_DELAY = 400;

    /** @param {Editor} ed */
    function createFields(ed) {
        const {store, host, t} = ed, button = buttons(t);
        /** @type {Record<string, any>} */
        const inputs = {};
        /** @type {Record<string, any>} */
        const counters = {};
        let shown = 0, timer = 0, asked = "";

        const hint = el("p", {class: "td-hint"});
        const size = el("p", {class: "td-hint"});
        const form = el("div", {class: "td-form", hidden: true},
            prompt("prompt", "Prompt", "What is drawn in this region"),
            select("join", "Main prompt", "How the main prompt joins it", [["replace", "left out"], ["append", "before it"], ["prepend", "after it"]]),
            prompt("negative_prompt", "Negative prompt", "What to avoid here; empty takes the main one", true),
            line("name", "Name", "For you alone"),
            row(select("layer", "Layer", "Backgrounds mix; foregrounds lie above them", [["background", "background"], ["foreground", "foreground"]]),
                number("weight", "Weight", "How strongly a background counts where regions overlap", 0.1, 10, 0.1)),
            row(number("feather", "Feather", "Width of the soft edge, 0 to 1", 0, 1, 0.05),
                select("feather_shape", "Edge", "How the soft edge rises", [["smooth", "smooth"], ["linear", "linear"], ["quadratic", "quadratic"]])),
            row(number("seed", "Seed", "Start noise of its own; empty takes the picture's", 0, 2 ** 53 - 1, 1, true),
                button(t("random"), "A new seed", () => edit("seed", Math.floor(Math.random() * 2 ** 32))), button(t("last"), "The last picture's seed", takeSeed)),
            row(number("cfg_scale", "CFG", "CFG scale of its own; empty takes the main one", 0, 50, 0.5, true),
                number("step_from", "From", "Where in the sampling it begins, 0 to 1", 0, 1, 0.05), number("step_to", "To", "Where in the sampling it ends, 0 to 1", 0, 1, 0.05)),
            row(number("bootstrap", "Bootstrap", "Part of the sampling in which it sees plain colours around its shape", 0, 1, 0.05),
                ...host.controlnet ? [check("controlnet", "ControlNet", "ControlNets act on this region")] : []),
            size);
        const node = el("div", {class: "td-fields"}, hint, form);

        /** @param {...any} nodes */
        function row(...nodes) { return el("div", {class: "td-row"}, ...nodes); }

        /** @param {string} name @param {any} value */
        function edit(name, value) {
            const one = ed.one();
            if (one) ed.told(() => store.dispatch({type: "edit", ids: [one.id], fields: {[name]: value}, merge: `${name} ${one.id}`}));
        }

        function takeSeed() {
            const seed = host.seed();
            if (seed === null) ed.say(t("There is no such picture yet"));
            else edit("seed", seed);
        }

        /** @param {string} name @param {string} hint_ @param {any} input @param {(value: any) => void} show */
        function known(name, hint_, input, show) {
            input.td = show;
            input.setAttribute("title", t(hint_));
            inputs[name] = input;
            return input;
        }

        /** @param {string} label @param {any} input @param {...any} more */
        function labelled(label, input, ...more) {
            return el("label", {class: "td-field"}, el("span", {}, t(label)), input, ...more);
        }

        /**
         * A prompt; laid out as the page's own prompts are, which other extensions look for.
         * @param {string} name @param {string} label @param {string} hint_ @param {boolean} [optional] nothing means null
         */
        function prompt(name, label, hint_, optional = false) {
            const input = el("textarea", {rows: 2, placeholder: t(hint_), onkeydown: weigh});
            const marks = el("small", {class: "td-brackets"}), tokens = counters[name] = el("small", {class: "td-tokens", title: t("Tokens of this prompt, and how many fit")});
            known(name, hint_, input, value => { input.value = value ?? ""; mark(); });
            const mark = () => { marks.textContent = balanced(input.value) ? "" : t("Brackets do not match"); };
            input.addEventListener("input", () => {
                edit(name, optional && input.value === "" ? null : input.value);
                mark();
            });
            return el("div", {class: "prompt"}, labelled(label, input, tokens, marks));
        }

        /** @param {string} name @param {string} label @param {string} hint_ */
        function line(name, label, hint_) {
            const input = el("input", {type: "text", placeholder: t(hint_), oninput: () => edit(name, input.value)});
            return labelled(label, known(name, hint_, input, value => { input.value = value; }));
        }

        /** @param {string} name @param {string} label @param {string} hint_ @param {number} min @param {number} max @param {number} step @param {boolean} [optional] */
        function number(name, label, hint_, min, max, step, optional = false) {
            const input = el("input", {type: "number", min, max, step, oninput: () => {
                if (input.value === "") return optional && edit(name, null);
                edit(name, Number(input.value));
            }, onblur: () => { const one = ed.one(); if (one) input.td(/** @type {any} */ (one)[name]); }});
            return labelled(label, known(name, hint_, input, value => { input.value = value ?? ""; }));
        }

        /** @param {string} name @param {string} label @param {string} hint_ @param {string[][]} choices */
        function select(name, label, hint_, choices) {
            const input = el("select", {onchange: () => edit(name, input.value)}, ...choices.map(([value, words]) => el("option", {value}, t(words))));
            return labelled(label, known(name, hint_, input, value => { input.value = value; }));
        }

        /** @param {string} name @param {string} label @param {string} hint_ */
        function check(name, label, hint_) {
            const input = el("input", {type: "checkbox", onchange: () => edit(name, input.checked)});
            return labelled(label, known(name, hint_, input, value => { input.checked = value; }));
        }

        /** Ctrl+Up and Ctrl+Down change a weight, as in the main prompt. @param {KeyboardEvent} event */
        function weigh(event) {
            if (!(event.ctrlKey || event.metaKey) || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
            event.preventDefault();
            event.stopPropagation();
            const input = /** @type {HTMLTextAreaElement} */ (event.target);
            const found = weighted(input.value, input.selectionStart, input.selectionEnd, event.key === "ArrowUp");
            if (!found) return;
            input.value = found.value;
            input.setSelectionRange(found.from, found.to);
            input.dispatchEvent(new Event("input", {bubbles: true}));
        }

        /** Asks for the prompts' lengths, a little after the last key. @param {EditorRegion} one */
        function count(one) {
            const {tokens} = host, texts = [one.prompt, one.negative_prompt || ""], key = JSON.stringify(texts);
            if (!tokens || key === asked) return;
            asked = key;
            window.clearTimeout(timer);
            timer = window.setTimeout(async () => {
                const found = await tokens(texts).catch(() => null);
                if (asked === key && found) ["prompt", "negative_prompt"].forEach((name, i) => { counters[name].textContent = found[i].join("/"); });
            }, TOKEN_DELAY);
        }

        /** @param {State} state */
        function render(state) {
            const one = ed.one(), {width, height} = host.size();
            form.hidden = !one;
            hint.hidden = Boolean(one);
            hint.textContent = !state.regions.length ? t("Drag on the canvas to draw a region.") : state.selected.length > 1 ? `${state.selected.length} ${t("regions are selected")}` : t("Select a region to edit it.");
            if (one) {
                if (shown !== one.id) [inputs.prompt, inputs.negative_prompt].forEach(area => host.onField?.(area));
                for (const [name, input] of Object.entries(inputs)) if (shown !== one.id || input.getRootNode().activeElement !== input) input.td(/** @type {any} */ (one)[name]);
                size.textContent = `${Math.round(one.w * width)} × ${Math.round(one.h * height)} px`;
                count(one);
            }
            shown = one ? one.id : 0;
        }

        return {node, render, focus() { inputs.prompt.focus({preventScroll: true}); }, destroy() { window.clearTimeout(timer); }};
    }

    return {createFields};
})();
