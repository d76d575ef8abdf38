// What the gallery of a report has besides: the choice of the map whose measures count, and filters by the truth.

/**
 * What a gallery shows first. Of a report that is its first measure, the best pictures first.
 * @param {Evaluation | null} report
 * @returns {Filter}
 */
function firstFilter(report) {
    const measure = report?.measures.at(0);
    return {
        map: report?.map ?? null,
        key: measure ? `measure:${measure.key}` : "order",
        down: measure?.high ?? false,
        name: "",
        class: null,
        answer: "any",
        smallOnly: false,
        errorsOnly: false,
        listed: 0,
    };
}

/** @type {[Answer, string][]} */
const ANSWERS = [
    ["any", "Any"],
    ["right", "Right"],
    ["wrong", "Wrong"],
];

/**
 * @param {Evaluation} report
 * @param {Indexed[]} pictures
 * @param {Store<Filter>} store
 */
function setUpReportFilters(report, pictures, store) {
    const truths = pictures.flatMap(({ entry }) => entry.truth ?? []);
    byId("pictures-title", HTMLElement).hidden = false;
    byId("gallery-map-field", HTMLElement).hidden = report.maps.length < 2;
    byId("answer-field", HTMLElement).hidden = !truths.some(({ rank }) => rank !== null);
    byId("small-field", HTMLElement).hidden = !truths.some(({ small }) => small);
    byId("gallery-truth-field", HTMLElement).hidden = !truths.some(hasOutline);

    const map = byId("gallery-map", HTMLSelectElement);
    fillSelect(
        map,
        report.maps.map((name) => [name, name]),
    );
    map.addEventListener("change", () => store.set({ map: map.value }));
    store.when(["map"], () => (map.value = store.state.map ?? ""));

    const showAnswer = radios(byId("answer", HTMLElement), ANSWERS, (answer) => store.set({ answer }));
    store.when(["answer"], () => showAnswer(store.state.answer));
    const small = byId("small-only", HTMLInputElement);
    small.addEventListener("change", () => store.set({ smallOnly: small.checked }));
    const outlines = byId("gallery-truth", HTMLInputElement);
    outlines.addEventListener("change", () =>
        byId("cards", HTMLElement).classList.toggle("no-truth", !outlines.checked),
    );
}

/**
 * The measures that pictures can be sorted by.
 * @param {Evaluation} report
 * @param {Indexed[]} pictures
 * @returns {[SortKey, string][]}
 */
function measureChoices({ measures, maps }, pictures) {
    const isMeasured = (/** @type {Measure} */ { key }) =>
        pictures.some(({ entry }) => maps.some((map) => measured(entry, map, key) !== null));
    return measures.filter(isMeasured).map(({ key, words }) => [`measure:${key}`, words]);
}
