"use strict";
// The editor's state: regions, selection, undo. No DOM.

/** @typedef {Region & {id: number, locked: boolean, hidden: boolean}} EditorRegion */
/** @typedef {{regions: EditorRegion[], selected: number[], fill: string, rerolls: any[]}} State */

tiledDiffusion.store = (() => {
    const {stored, moved, dragged} = tiledDiffusion.box;
    const data = tiledDiffusion.data;
    const MOST_UNDO = 200;
    /** @type {State} */
    const EMPTY = {regions: [], selected: [], fill: "main", rerolls: []};

    /** @param {State} state */
    function nextId(state) {
        return Math.max(0, ...state.regions.map(r => r.id)) + 1;
    }

    /** @param {State} state @param {any} region @returns {EditorRegion} */
    function made(state, region) {
        const full = {...data.DEFAULTS, ...region};
        const checked = data.region({...data.plain(full), ...stored(full)}, "region");
        return {...checked, id: nextId(state), locked: false, hidden: false};
    }

    /** @param {State} state @param {any[]} regions @returns {State} */
    function added(state, regions) {
        const count = state.regions.length + regions.length;
        if (count > data.MAX_REGIONS) throw new data.DataError(`regions: got ${count}, allowed are at most ${data.MAX_REGIONS}`);
        let next = state;
        /** @type {number[]} */
        const ids = [];
        for (const region of regions) {
            const one = made(next, region);
            ids.push(one.id);
            next = {...next, regions: [...next.regions, one]};
        }
        return {...next, selected: ids.length ? ids : state.selected};
    }

    /** @param {State} state @param {(r: EditorRegion) => EditorRegion} change @param {number[]} ids @returns {State} */
    function changed(state, change, ids) {
        return {...state, regions: state.regions.map(r => ids.includes(r.id) ? change(r) : r)};
    }

    /** Ids of the selected regions that may be moved. @param {State} state */
    function free(state) {
        return state.regions.filter(r => state.selected.includes(r.id) && !r.locked).map(r => r.id);
    }

    /**
     * The state after an action; the old one is never changed.
     * @type {Record<string, (state: State, action: any) => State>}
     */
    const REDUCERS = {
        add: (s, a) => added(s, a.regions),
        select: (s, a) => ({...s, selected: a.ids.filter((/** @type {number} */ id) => s.regions.some(r => r.id === id))}),
        place: (s, a) => changed(s, r => r.locked || !a.boxes[r.id] ? r : {...r, ...stored(a.boxes[r.id])}, s.regions.map(r => r.id)),
        edit: (s, a) => changed(s, r => {
            const next = {...r, ...a.fields};
            const {id, locked, hidden, ...own} = next;
            data.region(own, "region");
            return next;
        }, a.ids),
        nudge: (s, a) => changed(s, r => ({...r, ...stored(moved(r, a.dx, a.dy))}), free(s)),
        grow: (s, a) => changed(s, r => ({...r, ...stored(dragged(r, "se", a.dx, a.dy))}), free(s)),
        remove: s => {
            const ids = free(s);
            return {...s, regions: s.regions.filter(r => !ids.includes(r.id)), selected: []};
        },
        duplicate: s => added(s, s.regions.filter(r => s.selected.includes(r.id)).map(r => ({...r, ...moved(r, 0.02, 0.02)}))),
        split: (s, a) => {
            const one = s.regions.find(r => r.id === a.id);
            if (!one) return s;
            const pieces = a.boxes.map((/** @type {Box} */ box) => ({...one, ...box, mask: null}));
            return added(changed(s, r => ({...r, ...stored(pieces[0]), mask: null}), [a.id]), pieces.slice(1));
        },
        reorder: (s, a) => {
            const one = s.regions.find(r => r.id === a.id);
            if (!one) return s;
            const others = s.regions.filter(r => r.id !== a.id);
            others.splice(Math.max(0, Math.min(a.to, others.length)), 0, one);
            return {...s, regions: others};
        },
        front: s => ({...s, regions: [...s.regions.filter(r => !s.selected.includes(r.id)), ...s.regions.filter(r => s.selected.includes(r.id))]}),
        back: s => ({...s, regions: [...s.regions.filter(r => s.selected.includes(r.id)), ...s.regions.filter(r => !s.selected.includes(r.id))]}),
        fill: (s, a) => ({...s, fill: a.value}),
        load: (s, a) => {
            const {regions, fill, rerolls} = a.document;
            return {...added({...EMPTY, fill, rerolls}, regions), selected: []};
        },
    };

    /** @param {State} state @param {any} action @returns {State} */
    function reduce(state, action) {
        const reducer = REDUCERS[action.type];
        if (!reducer) throw new Error(`unknown action ${action.type}`);
        return reducer(state, action);
    }

    /** Whether two states hold the same document. @param {State} a @param {State} b */
    function alike(a, b) {
        return a.regions === b.regions && a.fill === b.fill && a.rerolls === b.rerolls;
    }

    /**
     * A store with undo. Actions with the same `merge` key, one after the other, are one step of it.
     * @param {State} [initial]
     */
    function createStore(initial = EMPTY) {
        let state = initial;
        /** @type {State[]} */
        let past = [];
        /** @type {State[]} */
        let future = [];
        /** @type {string | null} */
        let merging = null;
        /** @type {Set<(state: State) => void>} */
        const listeners = new Set();

        /** @param {State} next */
        function show(next) {
            state = next;
            listeners.forEach(listener => listener(state));
        }

        /** @param {any} action */
        function dispatch(action) {
            const next = reduce(state, action);
            if (next === state) return;
            if (!alike(next, state) && !(action.merge && action.merge === merging)) {
                past = [...past.slice(-MOST_UNDO + 1), state];
                future = [];
            }
            merging = action.merge || null;
            show(next);
        }

        function undo() {
            const last = past[past.length - 1];
            if (!last) return;
            past = past.slice(0, -1);
            future = [state, ...future];
            merging = null;
            show(last);
        }

        function redo() {
            const [next, ...rest] = future;
            if (!next) return;
            future = rest;
            past = [...past, state];
            merging = null;
            show(next);
        }

        /** @param {(state: State) => void} listener @returns {() => void} takes it off again */
        function subscribe(listener) {
            listeners.add(listener);
            return () => listeners.delete(listener);
        }

        return {
            get state() { return state; },
            get canUndo() { return past.length > 0; },
            get canRedo() { return future.length > 0; },
            dispatch, undo, redo, subscribe,
        };
    }

    /** The JSON text of a state. @param {State} state */
    function toText(state) {
        return data.write(state);
    }

    return {EMPTY, reduce, createStore, toText};
})();
