// The course of a film: what its frames say of its class, and how high the map is where somebody points, from its beginning to its end.

/** @typedef {{ values: Float32Array, colour: string }} Line   each value from 0 to 1, or no number */

/**
 * How likely the class is in each frame; no number for frames in which it is not among the likeliest.
 * @param {FilmData} data
 * @param {number} id
 */
function courseOfClass({ top }, id) {
    return Float32Array.from(top, (classes) => classes.find(([of]) => of === id)?.[1] ?? NaN);
}

/**
 * Draws lines over time, with a mark where a shot begins.
 * @param {HTMLCanvasElement} canvas
 * @param {FilmData} data
 * @param {Line[]} lines
 */
function drawCourse(canvas, { times, cuts }, lines) {
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.round(side * devicePixelRatio));
    if (width === 0) return;
    [canvas.width, canvas.height] = [width, height];
    const style = getComputedStyle(canvas);
    const pen = penOf(canvas);
    const across = (/** @type {number} */ index) => placeInTime(times, index) * width;
    pen.fillStyle = style.getPropertyValue("--line");
    for (const cut of cuts.slice(1)) pen.fillRect(Math.round(across(cut)), 0, devicePixelRatio, height);
    pen.lineWidth = 1.5 * devicePixelRatio;
    pen.lineJoin = "round";
    const room = height - pen.lineWidth;
    for (const { values, colour } of lines) {
        pen.strokeStyle = style.getPropertyValue(colour);
        pen.beginPath();
        values.forEach((value, index) => {
            const isFirst = index === 0 || Number.isNaN(values[index - 1]);
            const [x, y] = [across(index), height - pen.lineWidth / 2 - value * room];
            if (isFirst) pen.moveTo(x, y);
            if (!Number.isNaN(value)) pen.lineTo(isFirst ? x + pen.lineWidth : x, y); // a frame alone is seen too
        });
        pen.stroke();
    }
}

/**
 * Where in the film a frame is, from 0 for the first to 1 for the last.
 * @param {number[]} times
 * @param {number} index
 */
function placeInTime(times, index) {
    const length = times[times.length - 1] - times[0];
    return length > 0 ? (times[index] - times[0]) / length : 0;
}

/**
 * What is drawn of a film's course, and in which words.
 * @param {Viewer} viewer
 * @param {Film} film
 * @returns {{ lines: Line[], words: [string, string][] }}   words with the colour of their line
 */
function courseOf({ app, store, map, paint }, { data, course }) {
    const { picture, chosen, cursor, pin, pointing, frame } = store.state;
    /** @type {Line[]} */
    const lines = [];
    /** @type {[string, string][]} */
    const words = [];
    if (chosen !== null && data.top.some((classes) => classes.length > 0)) {
        const values = courseOfClass(data, chosen);
        lines.push({ values, colour: "--bar" });
        const part = values[frame];
        const said = Number.isNaN(part) ? `is not among the ${data.top[frame].length} likeliest` : percent(part);
        words.push([`${className(app.head.network, chosen)} ${said}`, "--bar"]);
    }
    const point = pin ?? (pointing ? cursor : null);
    if (point && isSeen(picture.data, point)) {
        const own = map(store.state.map);
        const values = course(own.name, placeOf(own.grid, cellAt(picture.data, own.grid, point)));
        const limits = paint(own).limits;
        lines.push({ values: values.map((value) => scaled(value, limits)), colour: "--accent" });
        const where = pin ? "at the pin" : "here";
        words.push([`${own.name} ${where} ${valueInWords(values[frame], own.range)}`, "--accent"]);
    }
    return { lines, words };
}
