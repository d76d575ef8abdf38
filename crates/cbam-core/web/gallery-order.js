// Which pictures a gallery shows, and in which order.

/** @typedef {{ index: number, entry: IndexedPicture }} Indexed */
/** @typedef {"probability" | "entropy" | "coverage" | "disagreement"} NumberKey */
/** @typedef {"order" | "name" | NumberKey | `measure:${string}`} SortKey */
/** @typedef {"any" | "right" | "wrong"} Answer */

/**
 * @typedef {object} Filter
 * @property {string | null} map   of a report: what lies over the pictures, and whose measures count
 * @property {SortKey} key
 * @property {boolean} down
 * @property {string} name
 * @property {number | null} class
 * @property {Answer} answer
 * @property {boolean} smallOnly
 * @property {boolean} errorsOnly
 * @property {number} listed   how often the list of pictures became another: in a live page it grows
 */

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
 * What pictures are sorted by beside their names and their measures.
 * @type {Record<NumberKey, (entry: IndexedPicture) => number | null>}
 */
const NUMBERS = {
    probability: (entry) => listedClass(entry)?.[1] ?? null,
    entropy: ({ entropy }) => entropy,
    coverage: ({ coverage }) => coverage,
    disagreement: ({ disagreement }) => disagreement,
};

/**
 * The measure of a report that pictures are sorted by; null if they are sorted by something else.
 * @param {Evaluation | null} report
 * @param {SortKey} key
 */
function measureOf(report, key) {
    return report?.measures.find((measure) => key === `measure:${measure.key}`) ?? null;
}

/**
 * What a map's measure is on a picture; null where it was not measured.
 * @param {IndexedPicture} entry
 * @param {string | null} map
 * @param {string} measure   its key
 */
function measured({ measures }, map, measure) {
    return measures?.[map ?? ""]?.[measure] ?? null;
}

/**
 * The number that a picture is sorted by; null where it has none.
 * @param {IndexedPicture} entry
 * @param {Pick<Filter, "key" | "map">} filter
 */
function numberOf(entry, { key, map }) {
    if (key in NUMBERS) return NUMBERS[/** @type {NumberKey} */ (key)](entry);
    return measured(entry, map, key.replace("measure:", ""));
}

/**
 * Pictures in order; those that lack the number come last, whichever way it goes.
 * @param {Indexed[]} pictures
 * @param {Pick<Filter, "key" | "down" | "map">} filter
 */
function sorted(pictures, filter) {
    const { key, down } = filter;
    const sign = down ? -1 : 1;
    if (key === "order") return [...pictures].sort((a, b) => sign * (a.index - b.index));
    if (key === "name") {
        const { compare } = new Intl.Collator("en", { numeric: true });
        return [...pictures].sort((a, b) => sign * compare(a.entry.name, b.entry.name));
    }
    const last = (/** @type {number | null} */ value) => Number(value === null);
    return [...pictures].sort((a, b) => {
        const [x, y] = [numberOf(a.entry, filter), numberOf(b.entry, filter)];
        return last(x) - last(y) || sign * ((x ?? 0) - (y ?? 0)) || a.index - b.index;
    });
}

/**
 * The pictures that were read, with their numbers.
 * @param {Head["pictures"]} entries
 * @returns {Indexed[]}
 */
function readPictures(entries) {
    return entries.flatMap((entry, index) => (entry === null || "error" in entry ? [] : [{ index, entry }]));
}

/**
 * The files that were not read, with their numbers.
 * @param {Head["pictures"]} entries
 */
function failedPictures(entries) {
    return entries.flatMap((entry, index) => (entry !== null && "error" in entry ? [{ index, entry }] : []));
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
 * Whether a picture passes a filter.
 * @param {IndexedPicture} entry
 * @param {Filter} filter
 */
function passes(entry, { name, class: id, answer, smallOnly }) {
    if (!holds(entry.name, name)) return false;
    if (id !== null && listedClass(entry)?.[0] !== id) return false;
    if (smallOnly && !entry.truth?.small) return false;
    return answer === "any" || isRight(entry.truth) === (answer === "right");
}

/**
 * The pictures that pass a filter, in its order.
 * @param {Indexed[]} pictures
 * @param {Filter} filter
 */
function chosenPictures(pictures, filter) {
    if (filter.errorsOnly) return [];
    const fitting = pictures.filter(({ entry }) => passes(entry, filter));
    return sorted(fitting, filter);
}
