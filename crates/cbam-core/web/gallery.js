// Many pictures: small ones with the first map over each, in rows.

/** @typedef {ReturnType<typeof openGallery>} Gallery */

/** @param {App} app */
function openGallery(app) {
    const { head } = app;
    const pictures = readPictures(head.pictures);
    const cards = new Map(pictures.map((picture) => [picture.index, makeCard(app, picture)]));
    /** @type {Filter} */
    const everything = { key: "order", down: false, name: "", class: null, errorsOnly: false };
    const store = makeStore(everything);
    const list = byId("cards", HTMLElement);
    let shown = pictures;
    store.when(["key", "down", "name", "class", "errorsOnly"], () => {
        shown = chosenPictures(pictures, store.state);
        list.replaceChildren(...shown.flatMap(({ index }) => cards.get(index)?.item ?? []));
        byId("count", HTMLOutputElement).value = countInWords(shown.length, pictures.length, store.state);
    });
    store.when(["key"], () => cards.forEach(({ showNumber }) => showNumber(store.state.key)));
    byId("filters", HTMLElement).hidden = pictures.length === 0;
    setUpFilters(head, pictures, store);
    setUpErrors(head, store);
    list.addEventListener("keydown", stepFromCard);
    return {
        /** The pictures' numbers, in the order in which they are shown. */
        order: () => shown.map(({ index }) => index),
        focus: (/** @type {number} */ index) => cards.get(index)?.item.querySelector("a")?.focus(),
    };
}

/**
 * @param {number} shown
 * @param {number} all
 * @param {Filter} filter
 */
function countInWords(shown, all, { errorsOnly }) {
    if (errorsOnly) return "";
    return shown === all ? `${grouped(all)} pictures` : `${grouped(shown)} of ${grouped(all)} pictures`;
}

/**
 * A picture of the gallery, which is drawn when it comes to be seen.
 * @param {App} app
 * @param {Indexed} picture
 */
function makeCard({ head, tables, watch }, { index, entry }) {
    const [width, height] = entry.size;
    const [image, canvas, value] = [make("img", { alt: "" }), make("canvas"), make("span", { class: "value" })];
    const shot = make("span", { class: "shot" }, image, canvas);
    const name = make("span", { class: "name", title: entry.name }, fileOf(entry.name));
    const said = make("span", { class: "said" }, ...classInWords(head, entry));
    const link = make("a", { href: `#${index}` }, shot, name, said, value);
    const item = make("li", { class: "card", "data-index": index }, link);
    item.style.setProperty("--ratio", String(Math.min(3, Math.max(0.4, width / height))));
    const table = tables.get(head.look.colormap) ?? new Uint8Array(3 * COLOURS);
    watch(
        item,
        () => {
            if (!image.src && entry.thumb) image.src = entry.thumb;
            drawCard(canvas, entry, head.look, table);
        },
        () => (canvas.width = 0), // its memory is another's
    );
    const showNumber = (/** @type {SortKey} */ key) => {
        const number =
            key in NUMBERS && key !== "probability" ? NUMBERS[/** @type {keyof typeof NUMBERS} */ (key)](entry) : null;
        value.textContent = number === null ? "" : `${key} ${key === "coverage" ? percent(number) : number.toFixed(2)}`;
    };
    return { item, showNumber };
}

/**
 * @param {Head} head
 * @param {IndexedPicture} entry
 */
function classInWords({ network }, entry) {
    const listed = listedClass(entry);
    const words = [];
    if (listed) words.push(make("span", {}, className(network, listed[0])));
    if (listed && listed[1] !== null) words.push(make("span", { class: "part" }, percent(listed[1])));
    if (entry.damaged !== null) words.push(make("span", { class: "damaged", title: entry.damaged }, "damaged"));
    return words;
}

/**
 * The index holds the map on its scale already.
 * @param {HTMLCanvasElement} canvas
 * @param {IndexedPicture} entry
 * @param {Head["look"]} look
 * @param {Uint8Array} table
 */
function drawCard(canvas, entry, look, table) {
    const { map, size } = entry;
    if (!map) return;
    const codes = bytesOfBase64(map.values);
    const values = numbersOnScale(codes, 0, codes.length, 0, 1);
    const own = sizeOnScreen(canvas.clientWidth, size);
    /** @type {Parameters<typeof layer>[0]} */
    const scaledMap = { values, grid: map.grid, range: "unit", cell: null };
    // A line would need the map's own values.
    const colours = layer(scaledMap, own, { ...look, contour: null }, { low: 0, high: 1 }, table, partOf(entry, own));
    [canvas.width, canvas.height] = own;
    penOf(canvas).putImageData(new ImageData(colours, ...own), 0, 0);
}

/**
 * @param {Head} head
 * @param {Indexed[]} pictures
 * @param {Store<Filter>} store
 */
function setUpFilters(head, pictures, store) {
    const sort = byId("sort", HTMLSelectElement);
    fillSelect(sort, sortChoices(head, pictures));
    sort.addEventListener("change", () => {
        const key = /** @type {SortKey} */ (sort.value);
        store.set({ key, down: key in NUMBERS }); // the greatest numbers first
    });
    const order = byId("order", HTMLButtonElement);
    order.addEventListener("click", () => store.set({ down: !store.state.down }));
    store.when(["down"], () => {
        order.textContent = store.state.down ? "↓" : "↑";
        order.title = store.state.down ? "From the last to the first (R)" : "From the first to the last (R)";
        order.setAttribute("aria-label", order.title);
    });
    const name = byId("name-filter", HTMLInputElement);
    name.addEventListener("input", () => store.set({ name: name.value }));
    const maps = byId("show-maps", HTMLInputElement);
    maps.addEventListener("change", () => byId("cards", HTMLElement).classList.toggle("bare", !maps.checked));
    setUpClassFilter(head, pictures, store);
}

/**
 * What pictures can be sorted by, and what it is called.
 * @param {Head} head
 * @param {Indexed[]} pictures
 * @returns {[string, string][]}
 */
function sortChoices({ disagreement }, pictures) {
    const has = (/** @type {keyof typeof NUMBERS} */ key) => pictures.some(({ entry }) => NUMBERS[key](entry) !== null);
    /** @type {[keyof typeof NUMBERS, string][]} */
    const numbers = [
        ["probability", "probability"],
        ["entropy", "entropy"],
        ["coverage", "coverage"],
        ["disagreement", `disagreement of ${(disagreement ?? []).join(" and ")}`],
    ];
    return [["order", "order"], ["name", "name"], ...numbers.filter(([key]) => has(key))];
}

/**
 * The box for a class offers those that are there.
 * @param {Head} head
 * @param {Indexed[]} pictures
 * @param {Store<Filter>} store
 */
function setUpClassFilter({ network }, pictures, store) {
    /** @type {Map<number, number>} */
    const counts = new Map();
    for (const { entry } of pictures) {
        const id = listedClass(entry)?.[0];
        if (id !== undefined) counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    const choices = [...counts].map(([id, count]) => ({ id, words: className(network, id), note: grouped(count) }));
    choices.sort((a, b) => a.words.localeCompare(b.words, "en"));
    const input = byId("class-filter", HTMLInputElement);
    byId("class-filter-field", HTMLElement).hidden = choices.length === 0;
    const list = byId("class-filter-list", HTMLUListElement);
    makeCombobox(
        input,
        list,
        () => choices,
        ({ id }) => store.set({ class: id }),
        () => store.set({ class: null }),
    );
}

/**
 * The files that were not read, and why.
 * @param {Head} head
 * @param {Store<Filter>} store
 */
function setUpErrors({ pictures }, store) {
    const failed = pictures.flatMap((entry) => ("error" in entry ? [entry] : []));
    byId("errors-field", HTMLElement).hidden = failed.length === 0;
    const only = byId("errors-only", HTMLInputElement);
    only.addEventListener("change", () => store.set({ errorsOnly: only.checked }));
    byId("errors-title", HTMLElement).textContent = `Not read: ${grouped(failed.length)}`;
    store.when(["name"], () => {
        const shown = failed.filter(({ name }) => holds(name, store.state.name));
        byId("errors", HTMLElement).hidden = shown.length === 0;
        const rows = shown.map(({ name, error }) => make("li", {}, make("strong", {}, name), " ", error));
        byId("error-list", HTMLElement).replaceChildren(...rows);
    });
}

/**
 * Arrow keys go from picture to picture: along the row, and to the nearest of the next row.
 * @param {KeyboardEvent} event
 */
function stepFromCard(event) {
    const card = event.target instanceof Element ? event.target.closest(".card") : null;
    if (!card) return;
    const next = cardBeside(card, event.key);
    if (!next) return;
    event.preventDefault();
    next.querySelector("a")?.focus();
}

/**
 * @param {Element} card
 * @param {string} key
 */
function cardBeside(card, key) {
    if (key === "ArrowLeft") return card.previousElementSibling;
    if (key === "ArrowRight") return card.nextElementSibling;
    if (key === "ArrowUp") return cardInNextRow(card, "previousElementSibling");
    return key === "ArrowDown" ? cardInNextRow(card, "nextElementSibling") : null;
}

/**
 * The nearest card of the next row on one side.
 * @param {Element} card
 * @param {"previousElementSibling" | "nextElementSibling"} side
 */
function cardInNextRow(card, side) {
    const own = card.getBoundingClientRect();
    const away = (/** @type {Element} */ other) => {
        const { left, right } = other.getBoundingClientRect();
        return Math.abs(left + right - own.left - own.right);
    };
    const topOfCard = (/** @type {Element} */ other) => other.getBoundingClientRect().top;
    let next = card[side];
    while (next && topOfCard(next) === own.top) next = next[side];
    for (let other = next?.[side]; other && next && topOfCard(other) === topOfCard(next); other = other[side]) {
        if (away(other) < away(next)) next = other;
    }
    return next;
}
