// State, and who is told of its changes.

/**
 * @template {object} State
 * @typedef {object} Store
 * @property {Readonly<State>} state
 * @property {(change: Partial<State>) => void} set
 * @property {(keys: (keyof State)[], run: () => void) => void} when   runs at once, and after changes of these keys
 */

/**
 * Changes are told together, before the browser draws next: however many there are, everything is drawn once.
 * @template {object} State
 * @param {State} initial
 * @returns {Store<State>}
 */
function makeStore(initial) {
    const state = { ...initial };
    /** @type {{ keys: (keyof State)[], run: () => void }[]} */
    const listeners = [];
    /** @type {Set<keyof State>} */
    let changed = new Set();
    const tell = () => {
        const told = changed;
        changed = new Set();
        for (const { keys, run } of listeners) if (keys.some((key) => told.has(key))) run();
    };
    return {
        state,
        set(change) {
            const keys = /** @type {(keyof State)[]} */ (Object.keys(change)).filter(
                (key) => state[key] !== change[key],
            );
            if (keys.length === 0) return;
            if (changed.size === 0) requestAnimationFrame(tell);
            keys.forEach((key) => changed.add(key));
            Object.assign(state, change);
        },
        when(keys, run) {
            listeners.push({ keys, run });
            run();
        },
    };
}
