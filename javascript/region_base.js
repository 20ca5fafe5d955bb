"use strict";
// The one global of these scripts, and what all parts of the page have in common: each is enabled and disabled.
// Scripts run in the order of their names: this one is the first, because a class needs what it extends as it is made.

var tiledDiffusion = tiledDiffusion || {};

/**
 * Listens while it is enabled, and to nothing before or afterwards. What to listen to is said in the constructor.
 * @implements {EditorPart}
 */
tiledDiffusion.Part = class Part {
    /** Those that are enabled and disabled along with it. @type {EditorPart[]} */
    parts = [];
    /** @type {((signal: AbortSignal) => void)[]} */
    #beginnings = [];
    /** @type {AbortController | null} */
    #control = null;

    get enabled() {
        return this.#control !== null;
    }

    enable() {
        if (this.#control) return;
        const {signal} = this.#control = new AbortController();
        for (const begin of this.#beginnings) begin(signal);
    }

    disable() {
        this.#control?.abort();
        this.#control = null;
    }

    /**
     * Listens to events of a target while it is enabled.
     * @protected @template {keyof HTMLElementEventMap} K
     * @param {EventTarget} target @param {K} type @param {(event: HTMLElementEventMap[K]) => void} act
     * @param {AddEventListenerOptions} [options]
     */
    on(target, type, act, options = {}) {
        const listener = /** @type {EventListener} */ (act);
        this.#beginnings.push(signal => target.addEventListener(type, listener, {...options, signal}));
    }

    /**
     * Begins something when it is enabled, and ends it when it is disabled.
     * @protected @param {(signal: AbortSignal) => (() => void) | void} begin what it returns ends it
     */
    during(begin) {
        this.#beginnings.push(signal => {
            const end = begin(signal);
            if (end) signal.addEventListener("abort", end, {once: true});
        });
    }

    /**
     * Draws the state that there is and every later one.
     * @protected @param {RegionStore} store @param {(state: State) => void} draw
     */
    follow(store, draw) {
        this.during(() => {
            const stop = store.subscribe(draw);
            draw(store.state);
            return stop;
        });
    }

    /** Other parts, which are enabled and disabled along with it. @protected @param {...EditorPart} parts */
    include(...parts) {
        this.parts.push(...parts);
        this.during(() => {
            parts.forEach(part => part.enable());
            return () => parts.forEach(part => part.disable());
        });
    }
};
