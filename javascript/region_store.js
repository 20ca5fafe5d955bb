"use strict";
// The editor's state: regions, selection, undo. No DOM.

tiledDiffusion.store = (() => {
    const {stored, moved, dragged} = tiledDiffusion.box;
    const data = tiledDiffusion.data;
    /** How far a copy lies from its original, in fractions of the canvas. */
    const COPY_OFFSET = 0.02;
    /** @type {State} */
    const EMPTY = {regions: [], selected: [], fill: "main", rerolls: []};

    /** @param {State} state */
    function nextId(state) {
        return Math.max(0, ...state.regions.map(r => r.id)) + 1;
    }

    /** @param {State} state @param {Partial<Region>} region @returns {EditorRegion} */
    function made(state, region) {
        const full = {...data.DEFAULTS, ...region};
        const checked = data.region({...data.plain(full), ...stored(full)}, "region");
        return {...checked, id: nextId(state), locked: false, hidden: false};
    }

    /** @param {State} state @param {Partial<Region>[]} regions @returns {State} */
    function added(state, regions) {
        const count = state.regions.length + regions.length;
        if (count > data.MAX_REGIONS) {
            throw new data.DataError(`regions: got ${count}, allowed are at most ${data.MAX_REGIONS}`);
        }
        let next = state;
        /** @type {number[]} */
        const ids = [];
        for (const region of regions) {
            const full = made(next, region);
            ids.push(full.id);
            next = {...next, regions: [...next.regions, full]};
        }
        return {...next, selected: ids.length ? ids : state.selected};
    }

    /** @param {State} state @param {(r: EditorRegion) => EditorRegion} change @param {number[]} ids @returns {State} */
    function changed(state, change, ids) {
        return {...state, regions: state.regions.map(r => ids.includes(r.id) ? change(r) : r)};
    }

    /** @param {EditorRegion} region @param {Partial<EditorRegion>} fields @returns {EditorRegion} */
    function edited(region, fields) {
        const next = {...region, ...fields};
        const {id, locked, hidden, ...own} = next;
        data.region(own, "region");
        return next;
    }

    /** Ids of the selected regions that may be moved. @param {State} state */
    function free(state) {
        return chosen(state).filter(r => !r.locked).map(r => r.id);
    }

    /** The selected regions. @param {State} state */
    function chosen(state) {
        return state.regions.filter(r => state.selected.includes(r.id));
    }

    /** @param {State} state */
    function others(state) {
        return state.regions.filter(r => !state.selected.includes(r.id));
    }

    /** @param {State} state @param {number} id @param {Box[]} boxes @returns {State} */
    function split(state, id, boxes) {
        const region = state.regions.find(r => r.id === id);
        if (!region) return state;
        const pieces = boxes.map(box => ({...region, ...box, mask: null}));
        return added(changed(state, r => ({...r, ...stored(pieces[0]), mask: null}), [id]), pieces.slice(1));
    }

    /** @param {State} state @param {number} id @param {number} to @returns {State} */
    function reordered(state, id, to) {
        const region = state.regions.find(r => r.id === id);
        if (!region) return state;
        const rest = state.regions.filter(r => r.id !== id);
        rest.splice(Math.max(0, Math.min(to, rest.length)), 0, region);
        return {...state, regions: rest};
    }

    /** The state after an action; the old one is never changed. @type {Reducers} */
    const REDUCERS = {
        add: (s, a) => added(s, a.regions),
        select: (s, a) => ({...s, selected: a.ids.filter(id => s.regions.some(r => r.id === id))}),
        place: (s, {boxes}) => {
            const ids = s.regions.filter(r => boxes[r.id] && !r.locked).map(r => r.id);
            return changed(s, r => ({...r, ...stored(boxes[r.id])}), ids);
        },
        edit: (s, a) => changed(s, r => edited(r, a.fields), a.ids),
        nudge: (s, a) => changed(s, r => ({...r, ...stored(moved(r, a.dx, a.dy))}), free(s)),
        grow: (s, a) => changed(s, r => ({...r, ...stored(dragged(r, "se", a.dx, a.dy))}), free(s)),
        remove: s => {
            const ids = free(s);
            return {...s, regions: s.regions.filter(r => !ids.includes(r.id)), selected: []};
        },
        duplicate: s => added(s, chosen(s).map(r => ({...r, ...moved(r, COPY_OFFSET, COPY_OFFSET)}))),
        split: (s, a) => split(s, a.id, a.boxes),
        reorder: (s, a) => reordered(s, a.id, a.to),
        front: s => ({...s, regions: [...others(s), ...chosen(s)]}),
        back: s => ({...s, regions: [...chosen(s), ...others(s)]}),
        fill: (s, a) => ({...s, fill: a.value}),
        load: (_, {document: {regions, fill, rerolls}}) =>
            ({...added({...EMPTY, fill, rerolls}, regions), selected: []}),
    };

    /** @param {State} state @param {Action} action @returns {State} */
    function reduce(state, action) {
        const reducer = /** @type {(state: State, action: Action) => State} */ (REDUCERS[action.type]);
        if (!reducer) throw new Error(`unknown action ${action.type}`);
        return reducer(state, action);
    }

    /** Whether two states hold the same document. @param {State} a @param {State} b */
    function alike(a, b) {
        return a.regions === b.regions && a.fill === b.fill && a.rerolls === b.rerolls;
    }

    /** A state with undo. @implements {RegionStore} */
    class Store {
        static #MOST_UNDO = 200;
        /** @type {State[]} */
        #past = [];
        /** @type {State[]} */
        #future = [];
        /** The `merge` of the last action. @type {string | null} */
        #merging = null;
        /** @type {Set<(state: State) => void>} */
        #listeners = new Set();
        /** @type {State} */
        #state;

        /** @param {State} initial */
        constructor(initial) {
            this.#state = initial;
        }

        get state() {
            return this.#state;
        }

        get canUndo() {
            return this.#past.length > 0;
        }

        get canRedo() {
            return this.#future.length > 0;
        }

        get single() {
            const {regions, selected} = this.#state;
            return selected.length === 1 && regions.find(r => r.id === selected[0]) || null;
        }

        /** @param {Action} action */
        dispatch(action) {
            const before = this.#state, next = reduce(before, action);
            if (next === before) return;
            if (!alike(next, before) && !(action.merge && action.merge === this.#merging)) {
                this.#past = [...this.#past.slice(-Store.#MOST_UNDO + 1), before];
                this.#future = [];
            }
            this.#show(next, action.merge || null);
        }

        /** @param {number} id @param {boolean} more */
        pick(id, more) {
            const {selected} = this.#state, rest = selected.filter(other => other !== id);
            this.dispatch({type: "select", ids: !more ? [id] : selected.includes(id) ? rest : [...selected, id]});
        }

        undo() {
            const last = this.#past.pop();
            if (!last) return;
            this.#future.unshift(this.#state);
            this.#show(last);
        }

        redo() {
            const next = this.#future.shift();
            if (!next) return;
            this.#past.push(this.#state);
            this.#show(next);
        }

        /** @param {(state: State) => void} listener */
        subscribe(listener) {
            this.#listeners.add(listener);
            return () => { this.#listeners.delete(listener); };
        }

        /** @param {State} next @param {string | null} merging */
        #show(next, merging = null) {
            this.#state = next;
            this.#merging = merging;
            this.#listeners.forEach(listener => listener(this.#state));
        }
    }

    /** @param {State} [initial] */
    function createStore(initial = EMPTY) {
        return new Store(initial);
    }

    /** The JSON text of a state. @param {State} state */
    function toText(state) {
        return data.write(state);
    }

    return {EMPTY, Store, reduce, createStore, toText};
})();
