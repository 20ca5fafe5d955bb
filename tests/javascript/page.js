"use strict";
// A page for the editor's parts where there is no browser: elements that can be listened to, and who listens.
const {getEventListeners, setMaxListeners} = require("node:events");

/** Targets and the types of events that were ever listened to. */
const heard = new Map();
/** What waits to be called. */
const observers = new Set(), frames = new Map(), timers = new Map();
let made = 0;

const add = EventTarget.prototype.addEventListener;
EventTarget.prototype.addEventListener = function (type, listener, options) {
    if (this instanceof AbortSignal) setMaxListeners(0, this);
    else heard.set(this, (heard.get(this) || new Set()).add(type));
    if (options?.signal) setMaxListeners(0, options.signal);
    return add.call(this, type, listener, options);
};

class Style {
    setProperty(name, value) { this[name] = value; }
}

class Classes {
    #names = new Set();

    contains(name) { return this.#names.has(name); }

    toggle(name, on = !this.#names.has(name)) {
        if (on) this.#names.add(name);
        else this.#names.delete(name);
        return on;
    }
}

/** An element: what the editor asks of one, and no more. */
class Element extends EventTarget {
    children = [];
    parentElement = null;
    style = new Style();
    classList = new Classes();
    attributes = {};
    dataset = {};
    value = "";
    textContent = "";
    [Symbol.toStringTag] = "Element";

    constructor(tag) {
        super();
        this.tag = tag;
    }

    setAttribute(name, value) {
        this.attributes[name] = value;
        if (name === "class") value.split(" ").forEach(c => this.classList.toggle(c, true));
        else if (name.startsWith("data-")) this.dataset[name.slice(5)] = value;
        else if (["value", "hidden"].includes(name)) this[name] = name === "hidden" || value;
    }

    removeAttribute(name) { delete this.attributes[name]; }

    insertBefore(node, before) {
        node.remove();
        const at = before ? this.children.indexOf(before) : this.children.length;
        this.children.splice(at, 0, node);
        node.parentElement = this;
    }

    append(...nodes) {
        for (const node of nodes) {
            if (node instanceof Element) this.insertBefore(node, null);
            else this.textContent += node;
        }
    }

    replaceChildren(...nodes) {
        [...this.children].forEach(child => child.remove());
        this.append(...nodes);
    }

    remove() {
        if (this.parentElement) this.parentElement.children.splice(this.parentElement.children.indexOf(this), 1);
        this.parentElement = null;
    }

    contains(node) {
        return node === this || Boolean(node?.parentElement && this.contains(node.parentElement));
    }

    /** Of "tag" and ".class", several of them after commas. */
    closest(selector) {
        const fits = part => part[0] === "." ? this.classList.contains(part.slice(1)) : part === this.tag;
        return selector.split(", ").some(fits) ? this : this.parentElement?.closest(selector) || null;
    }

    getRootNode() { return document; }

    getBoundingClientRect() { return {left: 0, top: 0, width: 512, height: 256, right: 512, bottom: 256}; }

    getClientRects() { return [this.getBoundingClientRect()]; }

    toDataURL() { return "data:,"; }

    getContext() {
        const canvas = this;
        return new Proxy({}, {get: (_, name) => name === "canvas" ? canvas : () => ({data: []}), set: () => true});
    }

    setPointerCapture() {}

    focus() { document.activeElement = this; }
}

class Observer {
    constructor(act) { this.act = act; }

    observe() { observers.add(this); }

    disconnect() { observers.delete(this); }
}

/** Puts what is to be called later on a list. */
function waiting(list) {
    return act => {
        list.set(++made, act);
        return made;
    };
}

/** Calls all that is on a list now. */
function call(list) {
    const acts = [...list.values()];
    list.clear();
    acts.forEach(act => act());
}

const page = new EventTarget();
const body = new Element("body");
Object.assign(page, {
    activeElement: null, fullscreenElement: null,
    createElement: tag => new Element(tag), createElementNS: (_, tag) => new Element(tag),
    querySelector: () => null, querySelectorAll: selector => selector === ".td-editor" ? [...body.children] : [],
});
const pageWindow = new EventTarget();
Object.assign(globalThis, {
    document: page, ResizeObserver: Observer, MutationObserver: Observer, updateInput() {},
    innerWidth: 1000, innerHeight: 1000,
    addEventListener: (...given) => pageWindow.addEventListener(...given),
    requestAnimationFrame: waiting(frames), cancelAnimationFrame: id => frames.delete(id),
    setTimeout: waiting(timers), clearTimeout: id => timers.delete(id),
});

/** What the page does on its own: after its elements have changed, at the next frame, as time goes by. */
const passes = {
    change: () => observers.forEach(observer => observer.act()), frame: () => call(frames), time: () => call(timers),
};

/** How many listeners there are now, on anything. */
function listeners() {
    let sum = 0;
    for (const [target, types] of heard) for (const type of types) sum += getEventListeners(target, type).length;
    return sum;
}

/** Everything that goes on now: listeners, observers, frames and timers. */
function going() {
    return {listeners: listeners(), observers: observers.size, frames: frames.size, timers: timers.size};
}

/** An event with a target of its own, as if it had come up from there. */
function eventAt(target, type, fields = {}) {
    const event = new Event(type, {cancelable: true});
    for (const [name, value] of Object.entries({target, ...fields})) Object.defineProperty(event, name, {value});
    return event;
}

/** A host that answers nothing. */
function host(more = {}) {
    const presets = {list: async () => ({presets: [], broken: []})};
    return {
        size: () => ({width: 512, height: 256}), height: () => 460, unit: () => 8, translate: text => text,
        pictures: {}, seed: () => null, controlnet: true, tokens: null, onField: null, presets, ...more,
    };
}

module.exports = {Element, body, going, passes, eventAt, host};
