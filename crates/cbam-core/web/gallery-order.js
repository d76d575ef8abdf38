// Which pictures a gallery shows, and in which order.

/** @typedef {{ index: number, entry: IndexedPicture }} Indexed */
/** @typedef {"order" | "name" | "probability" | "entropy" | "coverage" | "disagreement"} SortKey */
/** @typedef {{ key: SortKey, down: boolean, name: string, class: number | null, errorsOnly: boolean }} Filter */

/**
 * The class that a picture is listed with: the one that is explained, or else the likeliest; with its probability.
 * @param {IndexedPicture} entry
 * @returns {[number, number | null] | null}
 */
function listedClass({ top, explained }) {
    if (explained === null) return top.at(0) ?? null;
    return top.find(([id]) => id === explained) ?? [explained, null];
}

/**
 * What pictures are sorted by beside their names.
 * @type {Record<Exclude<SortKey, "order" | "name">, (entry: IndexedPicture) => number | null>}
 */
const NUMBERS = {
    probability: (entry) => listedClass(entry)?.[1] ?? null,
    entropy: ({ entropy }) => entropy,
    coverage: ({ coverage }) => coverage,
    disagreement: ({ disagreement }) => disagreement,
};

/**
 * Pictures in order; those that lack the number come last, whichever way it goes.
 * @param {Indexed[]} pictures
 * @param {Pick<Filter, "key" | "down">} filter
 */
function sorted(pictures, { key, down }) {
    const sign = down ? -1 : 1;
    if (key === "order") return [...pictures].sort((a, b) => sign * (a.index - b.index));
    if (key === "name") {
        const { compare } = new Intl.Collator("en", { numeric: true });
        return [...pictures].sort((a, b) => sign * compare(a.entry.name, b.entry.name));
    }
    const value = (/** @type {Indexed} */ { entry }) => NUMBERS[key](entry);
    const last = (/** @type {number | null} */ value) => Number(value === null);
    return [...pictures].sort((a, b) => {
        const [x, y] = [value(a), value(b)];
        return last(x) - last(y) || sign * ((x ?? 0) - (y ?? 0)) || a.index - b.index;
    });
}

/**
 * @param {IndexEntry[]} entries
 * @returns {Indexed[]}
 */
function readPictures(entries) {
    return entries.flatMap((entry, index) => ("error" in entry ? [] : [{ index, entry }]));
}

/**
 * Whether a text is in a name, whatever its case.
 * @param {string} name
 * @param {string} text
 */
function holds(name, text) {
    return name.toLowerCase().includes(text.trim().toLowerCase());
}

/**
 * The pictures that pass a filter, in its order.
 * @param {Indexed[]} pictures
 * @param {Filter} filter
 */
function chosenPictures(pictures, filter) {
    if (filter.errorsOnly) return [];
    const passes = (/** @type {Indexed} */ { entry }) =>
        holds(entry.name, filter.name) && (filter.class === null || listedClass(entry)?.[0] === filter.class);
    return sorted(pictures.filter(passes), filter);
}
