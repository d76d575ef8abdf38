// Pointing at the photo: by a pointer or by keys; what is marked, and the values there.

/** @param {Viewer} viewer */
function setUpPointing(viewer) {
    const { store } = viewer;
    const photos = [byId("photo", HTMLElement), byId("photo-other", HTMLElement)];
    for (const photo of photos) {
        const point = (/** @type {PointerEvent} */ event) => {
            store.set({ cursor: pointUnder(event, photo, store.state.picture.data.size), pointing: true });
        };
        photo.addEventListener("pointermove", point);
        photo.addEventListener("pointerdown", point);
        photo.addEventListener("pointerleave", () => store.set({ pointing: document.activeElement === photo }));
        photo.addEventListener("click", () => togglePin(viewer));
    }
    photos[0].addEventListener("focus", () => store.set({ pointing: true }));
    photos[0].addEventListener("blur", () => store.set({ pointing: false }));
    photos[0].addEventListener("keydown", (event) => pointByKey(viewer, event));
    setUpMarks(viewer, photos);
    setUpValues(viewer);
}

/**
 * The picture's pixel under a pointer.
 * @param {PointerEvent} event
 * @param {HTMLElement} photo
 * @param {Size} size
 * @returns {Point}
 */
function pointUnder({ clientX, clientY }, photo, [width, height]) {
    const box = photo.getBoundingClientRect();
    const pixel = (/** @type {number} */ part, /** @type {number} */ side) =>
        Math.min(side - 1, Math.max(0, Math.floor(part * side)));
    return [pixel((clientX - box.left) / box.width, width), pixel((clientY - box.top) / box.height, height)];
}

/**
 * Pins the cell that is pointed at, or lets it go where it is the one that is pinned.
 * @param {Viewer} viewer
 */
function togglePin({ store, grid }) {
    const { picture, cursor, pin } = store.state;
    if (!isSeen(picture.data, cursor)) return;
    const cell = (/** @type {Point} */ point) => placeOf(grid(), cellAt(picture.data, grid(), point));
    store.set({ pin: pin && cell(pin) === cell(cursor) ? null : cursor });
}

/**
 * Arrow keys go from cell to cell, Enter and the space bar pin.
 * @param {Viewer} viewer
 * @param {KeyboardEvent} event
 */
function pointByKey(viewer, event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { store, grid } = viewer;
    const { data } = store.state.picture;
    /** @type {Record<string, [number, number]>} */
    const steps = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (event.key in steps) {
        const [row, column] = cellAt(data, grid(), store.state.cursor);
        const [down, right] = steps[event.key].map((step) => step * (event.shiftKey ? 5 : 1));
        const place = (/** @type {number} */ to, /** @type {number} */ cells) => Math.min(cells - 1, Math.max(0, to));
        const cell = /** @type {[number, number]} */ ([place(row + down, grid()[0]), place(column + right, grid()[1])]);
        store.set({ cursor: middleOf(data, grid(), cell), pointing: true });
    } else if (event.key === "Enter" || event.key === " ") {
        togglePin(viewer);
    } else {
        return;
    }
    event.preventDefault();
    requestAnimationFrame(() => announce(byId("values", HTMLElement).dataset.words ?? ""));
}

/**
 * Marks the cell that is pointed at, and the one that is pinned.
 * @param {Viewer} viewer
 * @param {HTMLElement[]} photos
 */
function setUpMarks({ store, grid }, photos) {
    const marks = photos.map((photo) => {
        const [pointed, pinned] = [make("div", { class: "mark" }), make("div", { class: "mark pinned" })];
        photo.append(pointed, pinned);
        return { pointed, pinned };
    });
    const place = (/** @type {HTMLElement} */ mark, /** @type {Point | null} */ point) => {
        const { data } = store.state.picture;
        mark.hidden = point === null || !isSeen(data, point);
        if (point === null || mark.hidden) return;
        const [rows, columns] = grid();
        const [row, column] = cellAt(data, grid(), point);
        const { left, top, width, height } = partOf(data, data.size);
        const [all, tall] = data.size;
        mark.style.left = `${(100 * (left + (column * width) / columns)) / all}%`;
        mark.style.top = `${(100 * (top + (row * height) / rows)) / tall}%`;
        mark.style.width = `${(100 * width) / columns / all}%`;
        mark.style.height = `${(100 * height) / rows / tall}%`;
    };
    store.when(["picture", "cursor", "pin", "pointing", "stage", "map"], () => {
        const { cursor, pin, pointing } = store.state;
        for (const { pointed, pinned } of marks) {
            place(pointed, pointing ? cursor : null);
            place(pinned, pin);
        }
    });
}

/**
 * The values at the cursor, in words.
 * @param {Viewer} viewer
 * @returns {[string, string][]}   what it is, and how much
 */
function valuesAtCursor({ store, attention, asked, compared, paint }) {
    const { picture, cursor, pin, head } = store.state;
    /** @type {[string, string][]} */
    const values = [["Pixel", `${cursor[0]}, ${cursor[1]}`]];
    if (!isSeen(picture.data, cursor)) return [...values, ["Here", "not seen by the network"]];
    const maps = compared();
    for (const map of maps) {
        const cell = cellAt(picture.data, map.grid, cursor);
        const value = map.values[placeOf(map.grid, cell)];
        const of = maps.length > 1 ? `, ${map.name}` : "";
        if (map === maps[0]) values.push(["Row, column", `${cell[0]}, ${cell[1]} of ${map.grid[0]}×${map.grid[1]}`]);
        values.push([`Value${of}`, valueInWords(value, map.range)]);
        values.push([`Of the range${of}`, percent(scaled(value, paint(map).limits))]);
    }
    const own = attention();
    if (pin && own) {
        const here = placeOf(own.grid, cellAt(picture.data, own.grid, cursor));
        values.push(["Pin to here", `${number(weightBetween(own, head, asked(), here))} × uniform`]);
        values.push(["Here to pin", `${number(weightBetween(own, head, here, asked()))} × uniform`]);
    }
    return values;
}

/** @param {Viewer} viewer */
function setUpValues(viewer) {
    const box = byId("values", HTMLElement);
    viewer.store.when(SHOWN, () => {
        const values = valuesAtCursor(viewer);
        const fields = values.map(([name, value]) =>
            make("div", {}, make("dt", { title: name }, name), make("dd", {}, value)),
        );
        box.replaceChildren(...fields);
        const pinned = viewer.store.state.pin ? "Pinned. " : "";
        box.dataset.words = pinned + values.map(([name, value]) => `${name} ${value}`).join(". ");
    });
}
