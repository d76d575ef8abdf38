// The likeliest classes, and the choice of the one that maps are of.

/** @param {Viewer} viewer */
function setUpClasses(viewer) {
    const { app, store } = viewer;
    const input = byId("class-input", HTMLInputElement);
    const choices = () => {
        const { picture } = store.state;
        const { network } = app.head;
        const count = Math.max(network.labels.length, picture.probabilities?.length ?? 0);
        return Array.from({ length: count }, (_, id) => {
            const part = probabilityOf(picture, id);
            return { id, words: className(network, id), note: part === null ? `${id}` : `${id} · ${percent(part)}` };
        });
    };
    const list = byId("class-list", HTMLUListElement);
    makeCombobox({ input, list, choices, choose: ({ id }) => chooseClass(viewer, id) });
    store.when(["picture"], () => {
        byId("classes-title", HTMLElement).textContent = isSoftmax(app.head)
            ? "Classes"
            : "Classes, each scored by itself";
        byId("classes-panel", HTMLElement).hidden = classesShown(store.state).length === 0;
    });
    store.when(["picture", "chosen"], () => (input.value = ""));
    store.when(["picture", "drawn", "chosen"], () => {
        byId("top-classes", HTMLElement).replaceChildren(
            ...classesShown(store.state).map((id) => classRow(viewer, id)),
        );
        byId("class-note", HTMLElement).replaceChildren(...noteOfClass(viewer));
    });
}

/** @param {Head} head */
function isSoftmax({ network }) {
    return network.outputs === "softmax";
}

/**
 * The five likeliest, and the chosen one.
 * @param {Readonly<ViewState>} state
 */
function classesShown({ picture, chosen }) {
    return [...new Set([...picture.top.map(([id]) => id), ...(chosen === null ? [] : [chosen])])];
}

/**
 * @param {Viewer} viewer
 * @param {number} id
 */
function classRow(viewer, id) {
    const { app, store } = viewer;
    const part = probabilityOf(store.state.picture, id);
    const pressed = String(id === store.state.chosen);
    const attributes = { class: "class", "data-class": id, "aria-pressed": pressed };
    const row = button("", () => chooseClass(viewer, id), attributes);
    row.append(make("span", { class: "name" }, className(app.head.network, id)));
    if (part !== null) {
        const filled = make("span");
        filled.style.width = `${100 * part}%`;
        row.append(make("span", { class: "part" }, percent(part)), make("span", { class: "meter" }, filled));
    }
    return make("li", {}, row);
}

/**
 * Makes the maps those of a class, if the page has what they are made of; or else a network that is behind it is asked.
 * @param {Viewer} viewer
 * @param {number} id
 */
function chooseClass(viewer, id) {
    const { app, store } = viewer;
    const { classes, data, index } = store.state.picture;
    const isKept = id === data.explained || (classes !== null && placeOfClass(classes, id) >= 0);
    if (isKept) store.set({ chosen: id });
    if (app.live) app.live.askClass(index, id, isKept);
    else if (!isKept) byId("class-note", HTMLElement).replaceChildren(...wordsOfMissing(viewer, id));
}

/**
 * What is said of a class that the page cannot show.
 * @param {Viewer} viewer
 * @param {number} id
 */
function wordsOfMissing({ app, store, map }, id) {
    const { picture, look } = store.state;
    const kept = picture.classes?.of?.length ?? 0;
    const name = className(app.head.network, id);
    const said = kept
        ? `This page keeps ${grouped(kept)} classes, and ${name} is not among them. This shows it: `
        : `This page keeps no other class. This shows ${name}: `;
    const shown = map(store.state.map);
    const ofClass = shown.ofClass ? shown : (picture.maps.find(({ ofClass }) => ofClass) ?? shown);
    const words = commandWords(app.head, picture, [{ ...ofClass, explains: id }], look);
    return [said, make("code", {}, words.map(shellWord).join(" "))];
}

/**
 * Which maps are of which class.
 * @param {Viewer} viewer
 */
function noteOfClass({ app, store, maps }) {
    const { chosen, picture } = store.state;
    /** The maps of each class. @type {Map<number, string[]>} */
    const names = new Map();
    for (const { name, explains } of maps()) {
        if (explains !== null) names.set(explains, [...(names.get(explains) ?? []), name]);
    }
    const others = [...names].filter(([id]) => id !== chosen);
    if (chosen === null || (others.length === 0 && chosen === picture.data.explained)) return [];
    const own = names.get(chosen);
    const of = (/** @type {number} */ id) => className(app.head.network, id);
    const said = [
        ...(own ? [`${own.join(", ")}: for ${of(chosen)}.`] : []),
        ...others.map(([id, stay]) => `Made for ${of(id)}, and not made again: ${stay.join(", ")}.`),
    ];
    return [said.join(" ")];
}
