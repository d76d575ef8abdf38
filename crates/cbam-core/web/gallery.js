// Many pictures: small ones with a map over each, in rows.

/** @typedef {ReturnType<typeof openGallery>} Gallery */

/** @param {App} app */
function openGallery(app) {
    const { head } = app;
    const store = makeStore(firstFilter(head.report));
    const cards = makeCards(app);
    const list = byId("cards", HTMLElement);
    /** @type {Indexed[]} */
    let shown = [];
    store.when(["listed"], () => {
        cards.update();
        byId("filters", HTMLElement).hidden = readPictures(head.pictures).length === 0;
    });
    store.when(["listed", "map", "key", "down", "name", "class", "answer", "smallOnly", "errorsOnly"], () => {
        const pictures = readPictures(head.pictures);
        shown = chosenPictures(pictures, store.state);
        const focused = list.contains(document.activeElement) ? document.activeElement : null;
        list.replaceChildren(...shown.flatMap(({ index }) => cards.at(index)?.item ?? []));
        if (focused instanceof HTMLElement && focused.isConnected) focused.focus({ preventScroll: true });
        byId("count", HTMLOutputElement).value = countInWords(shown.length, pictures.length, store.state);
    });
    store.when(["listed", "map"], () => cards.all().forEach(({ showMap }) => showMap(store.state.map)));
    store.when(["listed", "key", "map"], () => cards.all().forEach(({ showNumber }) => showNumber(store.state)));
    setUpFilters(head, store);
    if (head.report) setUpReportFilters(head.report, readPictures(head.pictures), store);
    setUpErrors(app, store);
    list.addEventListener("keydown", stepFromCard);
    if (app.live) setUpRemoving(list, app.live);
    return {
        /** The pictures' numbers, in the order in which they are shown. */
        order: () => shown.map(({ index }) => index),
        /** The map that is chosen in a report. */
        map: () => store.state.map,
        focus: (/** @type {number} */ index) => cards.at(index)?.item.querySelector("a")?.focus(),
        /** Shows what was added to the head's list of pictures, or put in the place of another there. */
        list: () => store.set({ listed: store.state.listed + 1 }),
        /** Calls back now, and whenever the list became another and is shown. */
        whenListed: (/** @type {() => void} */ run) => store.when(["listed"], run),
    };
}

/**
 * The cards of the pictures: one for each entry of the list, as long as it stands there.
 * @param {App} app
 */
function makeCards(app) {
    /** @type {Map<number, { entry: IndexedPicture, card: Card }>} */
    const made = new Map();
    return {
        at: (/** @type {number} */ index) => made.get(index)?.card,
        all: () => [...made.values()].map(({ card }) => card),
        update() {
            const pictures = readPictures(app.head.pictures);
            const listed = new Set(pictures.map(({ index }) => index));
            for (const index of made.keys()) if (!listed.has(index)) made.delete(index);
            for (const { index, entry } of pictures) {
                if (made.get(index)?.entry !== entry) made.set(index, { entry, card: makeCard(app, { index, entry }) });
            }
        },
    };
}

/** @param {number} count */
function countOfPictures(count) {
    return `${grouped(count)} ${count === 1 ? "picture" : "pictures"}`;
}

/**
 * @param {number} shown
 * @param {number} all
 * @param {Filter} filter
 */
function countInWords(shown, all, { errorsOnly }) {
    if (errorsOnly) return "";
    return shown === all ? countOfPictures(all) : `${grouped(shown)} of ${countOfPictures(all)}`;
}

/**
 * @param {Head} head
 * @param {Store<Filter>} store
 */
function setUpFilters(head, store) {
    const sort = byId("sort", HTMLSelectElement);
    sort.addEventListener("change", () => {
        const key = /** @type {SortKey} */ (sort.value);
        // The best first, or else the greatest numbers.
        store.set({ key, down: measureOf(head.report, key)?.high ?? key in NUMBERS });
    });
    store.when(["listed"], () => {
        const choices = sortChoices(head, readPictures(head.pictures));
        const isOther = choices.map(([, words]) => words).join() !== [...sort.options].map(({ text }) => text).join();
        if (isOther) fillSelect(sort, choices); // but not under the hand of whoever opened it
    });
    store.when(["listed", "key"], () => (sort.value = store.state.key));
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
    setUpClassFilter(head, store);
}

/**
 * What pictures can be sorted by, and what it is called.
 * @param {Head} head
 * @param {Indexed[]} pictures
 * @returns {[string, string][]}
 */
function sortChoices({ disagreement, report, look }, pictures) {
    const has = (/** @type {NumberKey} */ key) => pictures.some(({ entry }) => NUMBERS[key](entry) !== null);
    const of = report ? ` of ${look.maps[0]}` : ""; // another may lie over the pictures
    /** @type {[NumberKey, string][]} */
    const numbers = [
        ["probability", "probability"],
        ["entropy", `entropy${of}`],
        ["coverage", `coverage${of}`],
        ["disagreement", `disagreement of ${(disagreement ?? []).join(" and ")}`],
    ];
    return [
        ...(report ? measureChoices(report, pictures) : []),
        ["order", "order"],
        ["name", "name"],
        ...numbers.filter(([key]) => has(key)),
    ];
}

/**
 * The classes of pictures, and how many there are of each.
 * @param {Head} head
 * @returns {Choice<number>[]}
 */
function classesListed({ network, pictures }) {
    /** @type {Map<number, number>} */
    const counts = new Map();
    for (const { entry } of readPictures(pictures)) {
        const id = listedClass(entry)?.[0];
        if (id !== undefined) counts.set(id, (counts.get(id) ?? 0) + 1);
    }
    const choices = [...counts].map(([id, count]) => ({ id, words: className(network, id), note: grouped(count) }));
    return choices.sort((a, b) => a.words.localeCompare(b.words, "en"));
}

/**
 * The box for a class offers those that are there.
 * @param {Head} head
 * @param {Store<Filter>} store
 */
function setUpClassFilter(head, store) {
    /** @type {Choice<number>[]} */
    let choices = [];
    const input = byId("class-filter", HTMLInputElement);
    store.when(["listed"], () => {
        choices = classesListed(head);
        byId("class-filter-field", HTMLElement).hidden = choices.length === 0;
        if (store.state.class === null || choices.some(({ id }) => id === store.state.class)) return;
        input.value = ""; // none of that class is left
        store.set({ class: null });
    });
    const list = byId("class-filter-list", HTMLUListElement);
    makeCombobox({
        input,
        list,
        choices: () => choices,
        choose: ({ id }) => store.set({ class: id }),
        clear: () => store.set({ class: null }),
    });
}

/**
 * The files that were not read, and why.
 * @param {App} app
 * @param {Store<Filter>} store
 */
function setUpErrors({ head, live }, store) {
    const only = byId("errors-only", HTMLInputElement);
    only.addEventListener("change", () => store.set({ errorsOnly: only.checked }));
    store.when(["listed", "name"], () => {
        const failed = failedPictures(head.pictures);
        byId("errors-field", HTMLElement).hidden = failed.length === 0;
        if (failed.length === 0 && only.checked) only.click(); // they were taken off the list
        byId("errors-title", HTMLElement).textContent =
            `Not ${head.report ? "measured" : "read"}: ${grouped(failed.length)}`;
        const shown = failed.filter(({ entry: { name } }) => holds(name, store.state.name));
        byId("errors", HTMLElement).hidden = shown.length === 0;
        const rows = shown.map(({ index, entry: { name, error } }) => {
            const row = make("li", { "data-index": index }, make("strong", {}, name), " ", error);
            if (live) row.append(removal(live, index, name));
            return row;
        });
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
