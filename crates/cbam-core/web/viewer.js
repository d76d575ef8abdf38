// The view of one picture.

/**
 * @param {App} app
 * @param {Picture} picture
 * @param {string | null} map   the map to begin with; null is the page's first
 * @returns {Viewer}
 */
function openViewer(app, picture, map) {
    const viewer = makeViewer(app, picture, map);
    setUpHeader(viewer);
    setUpPhoto(viewer);
    setUpTruth(viewer);
    setUpMeasured(viewer);
    setUpPointing(viewer);
    setUpPatch(viewer);
    setUpMaps(viewer);
    setUpClasses(viewer);
    setUpLook(viewer);
    setUpGates(viewer);
    setUpTaking(viewer);
    return viewer;
}

/** @param {Viewer} viewer */
function setUpHeader({ app, store }) {
    const { head } = app;
    store.when(["picture"], () => {
        const { name, data } = store.state.picture;
        const title = byId("title", HTMLElement);
        title.textContent = fileOf(name);
        title.title = name;
        document.title = fileOf(name);
        const notes = [...(data.damaged === null ? [] : [data.damaged]), ...data.notes];
        const box = byId("notes", HTMLElement);
        box.hidden = notes.length === 0;
        box.replaceChildren(...notes.map((note) => make("li", {}, note)));
    });
    store.when(["picture", "drawn", "chosen"], () => {
        const { data } = store.state.picture;
        const facts = [
            `${sizeInWords(data.size)} pixels`,
            `seen as ${sizeInWords(data.network_size)}`,
            head.network.name,
            ...wordsOfChosen(head, store.state),
            ...(data.done ?? []),
        ];
        byId("facts", HTMLElement).replaceChildren(...facts.map((fact) => make("span", {}, fact)));
    });
}

/**
 * What the class is that maps are of.
 * @param {Head} head
 * @param {Readonly<ViewState>} state
 */
function wordsOfChosen({ network, film }, { picture, chosen }) {
    if (chosen === null) return [];
    const part = probabilityOf(picture, chosen);
    const likely = part === null ? "" : ` ${percent(part)}`;
    const whole = film ? " on the whole" : "";
    const likeliest = chosen === picture.data.likeliest ? `, the likeliest${whole}` : "";
    return [`for ${className(network, chosen)}${likely}${likeliest}`];
}
