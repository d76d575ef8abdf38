// Charts of a report that answer the pointer and the arrow keys, and the lists of their curves. The charts' lines are drawn by
// cbam-eval, at the places that are said here.

/**
 * What a chart shows: curves at common places from left to right, which are equally far from each other or at parts of the
 * width (`at`). `x`: what the places are called, or into how many steps 0 to 1 is divided.
 * @typedef {{ x: string[] | number, at?: number[], top: number, curves: { name: string, values: number[] }[] }} ChartData
 */

/** The sides of a chart's drawing, and how far from them its curves lie. */
const CHART = { width: 420, height: 280, left: 44, right: 10, top: 10, bottom: 36 };

function setUpCharts() {
    for (const figure of document.querySelectorAll(".chart[data-chart]")) {
        if (figure instanceof HTMLElement) setUpChart(figure);
    }
    for (const list of document.querySelectorAll(".legend[data-group]")) {
        if (list instanceof HTMLElement) setUpCurveList(list);
    }
}

/**
 * A new element of a drawing.
 * @param {string} tag
 * @param {Record<string, string | number>} [attributes]
 */
function makeDrawn(tag, attributes = {}) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, String(value));
    return element;
}

/**
 * The places of a chart, as parts of its width, and what they are called.
 * @param {ChartData} data
 */
function placesOf({ x, at, curves }) {
    const count = Math.max(1, ...curves.map(({ values }) => values.length));
    const part = (/** @type {number} */ place) => place / Math.max(1, count - 1);
    const parts = at ?? Array.from({ length: count }, (_, place) => part(place));
    const names = Array.isArray(x) ? x : parts.map((_, place) => (place / x).toFixed(2));
    return { parts, names };
}

/**
 * The curves that are shown, from the highest value at a place to the lowest.
 * @param {ChartData} data
 * @param {Map<string, Element>} lines
 * @param {number} place
 */
function valuesAt({ curves }, lines, place) {
    return curves
        .flatMap(({ name, values }) => {
            const line = lines.get(name);
            const value = values.at(place);
            return line && value !== undefined && !line.classList.contains("off") ? [{ name, value, line }] : [];
        })
        .sort((a, b) => b.value - a.value);
}

/**
 * The curves of a drawing, by their names.
 * @param {Element} drawing
 */
function linesOf(drawing) {
    const lines = [...drawing.querySelectorAll("[data-curve]")];
    return new Map(lines.map((line) => [line.getAttribute("data-curve") ?? "", line]));
}

/** @param {HTMLElement} figure */
function setUpChart(figure) {
    /** @type {ChartData} */
    const data = JSON.parse(figure.dataset.chart ?? "");
    const drawing = figure.querySelector("svg");
    if (!drawing) return;
    const { parts, names } = placesOf(data);
    const title = drawing.getAttribute("aria-label") ?? "";
    const readout = make("div", { class: "readout", "aria-hidden": "true", hidden: true });
    const plot = make("div", {
        class: "plot",
        role: "slider",
        tabindex: 0,
        "aria-label": `${title}, values of the curves`,
        "aria-valuemin": 0,
        "aria-valuemax": parts.length - 1,
        "aria-valuenow": 0,
        "aria-valuetext": names[0],
    });
    drawing.replaceWith(plot);
    plot.append(drawing, readout);
    const marks = makeDrawn("g", { class: "pointing" });
    drawing.append(marks);
    const lines = linesOf(drawing);
    const nearest = (/** @type {number} */ part) =>
        parts.reduce((best, at, place) => (Math.abs(at - part) < Math.abs(parts[best] - part) ? place : best), 0);
    const show = (/** @type {number} */ wanted) => {
        const place = Math.min(parts.length - 1, Math.max(0, wanted));
        const values = valuesAt(data, lines, place);
        marks.replaceChildren(...marksAt(parts[place], values, data.top));
        readout.replaceChildren(...readoutOf(names[place], values));
        readout.hidden = false;
        const isLeft = parts[place] > 0.5;
        const there = valuesAt(data, lines, nearest(isLeft ? 0.25 : 0.75));
        keepAside(readout, isLeft, there, data.top);
        plot.setAttribute("aria-valuenow", String(place));
        const words = values.map(({ name, value }) => `${name} ${value.toFixed(3)}`).join(", ");
        plot.setAttribute("aria-valuetext", `${names[place]}: ${words}`);
        plot.dataset.words = `${names[place]}: ${words}`;
    };
    const hide = () => {
        marks.replaceChildren();
        readout.hidden = true;
    };
    answerPointer(plot, drawing, (part) => show(nearest(part)), hide);
    answerKeys(plot, parts.length, show, hide);
}

/**
 * @param {HTMLElement} plot
 * @param {Element} drawing
 * @param {(part: number) => void} show   which part of the width is pointed at
 * @param {() => void} hide
 */
function answerPointer(plot, drawing, show, hide) {
    const point = (/** @type {PointerEvent} */ { clientX }) => {
        const { left, width } = drawing.getBoundingClientRect();
        const across = ((clientX - left) / width) * CHART.width - CHART.left;
        show(across / (CHART.width - CHART.left - CHART.right));
    };
    plot.addEventListener("pointermove", point);
    plot.addEventListener("pointerdown", point);
    // A finger that is lifted leaves what it pointed at to be read.
    plot.addEventListener("pointerleave", ({ pointerType }) => pointerType === "mouse" && hide());
}

/**
 * @param {HTMLElement} plot
 * @param {number} count   of the places
 * @param {(place: number) => void} show
 * @param {() => void} hide
 */
function answerKeys(plot, count, show, hide) {
    const place = () => Number(plot.getAttribute("aria-valuenow"));
    plot.addEventListener("focus", () => plot.matches(":focus-visible") && show(place()));
    plot.addEventListener("blur", hide);
    plot.addEventListener("keydown", (event) => {
        /** @type {Record<string, () => void>} */
        const keys = {
            ArrowRight: () => show(place() + 1),
            ArrowUp: () => show(place() + 1),
            ArrowLeft: () => show(place() - 1),
            ArrowDown: () => show(place() - 1),
            PageUp: () => show(place() + 5),
            PageDown: () => show(place() - 5),
            Home: () => show(0),
            End: () => show(count - 1),
            Escape: hide,
        };
        const act = keys[event.key];
        if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        act();
    });
}

/**
 * A line at a place, and a dot on each curve.
 * @param {number} part
 * @param {{ value: number, line: Element }[]} values
 * @param {number} top   the value at the upper end
 */
function marksAt(part, values, top) {
    const { width, height, left, right, top: above, bottom } = CHART;
    const x = left + part * (width - left - right);
    const y = (/** @type {number} */ value) => height - bottom - (value / top) * (height - bottom - above);
    const line = makeDrawn("line", { class: "pointed", x1: x, x2: x, y1: above, y2: height - bottom });
    const dots = values.map(({ value, line }) =>
        makeDrawn("circle", { class: `dot ${curveClass(line)}`, cx: x, cy: y(value), r: 4 }),
    );
    return [line, ...dots];
}

/**
 * Puts the words in the half where the line is not, above the curves or below them.
 * @param {HTMLElement} readout
 * @param {boolean} isLeft   which half
 * @param {{ value: number }[]} there   the values in the middle of it
 * @param {number} top   the value at the upper end
 */
function keepAside(readout, isLeft, there, top) {
    const mean = there.reduce((sum, { value }) => sum + value, 0) / there.length;
    readout.classList.toggle("left", isLeft);
    readout.classList.toggle("low", mean > top / 2);
}

/**
 * The class that gives a curve its colour.
 * @param {Element} line
 */
function curveClass(line) {
    return [...line.classList].find((name) => /^curve-\d$/.test(name)) ?? "";
}

/**
 * @param {string} place
 * @param {{ name: string, value: number, line: Element }[]} values
 */
function readoutOf(place, values) {
    const rows = values.map(({ name, value, line }) => {
        const key = makeDrawn("svg", { class: "key", viewBox: "0 0 20 8" });
        key.append(makeDrawn("line", { class: line.getAttribute("class") ?? "", x1: 0, x2: 20, y1: 4, y2: 4 }));
        return make("tr", {}, make("th", {}, key, name), make("td", {}, value.toFixed(3)));
    });
    return [make("p", {}, place), make("table", {}, make("tbody", {}, ...rows))];
}

/**
 * Buttons that hide curves and show them, in all charts of a group; pointed at, they let one stand out.
 * @param {HTMLElement} list
 */
function setUpCurveList(list) {
    const charts = [...document.querySelectorAll(".chart")].filter(
        (chart) => chart instanceof HTMLElement && chart.dataset.group === list.dataset.group,
    );
    const buttons = [...list.querySelectorAll("button")];
    const lines = charts.flatMap((chart) => [...chart.querySelectorAll("[data-curve]")]);
    const isOf = (/** @type {Element} */ line, /** @type {HTMLButtonElement} */ { dataset }) =>
        line.getAttribute("data-curve") === dataset.curve;
    const isShown = (/** @type {HTMLButtonElement} */ of) => of.getAttribute("aria-pressed") === "true";
    const show = (/** @type {HTMLButtonElement} */ of, /** @type {boolean} */ shown) => {
        of.setAttribute("aria-pressed", String(shown));
        for (const line of lines) if (isOf(line, of)) line.classList.toggle("off", !shown);
        all.textContent = buttons.some(isShown) ? "Hide all" : "Show all";
    };
    const all = button(
        "Hide all",
        () => {
            const shown = !buttons.some(isShown);
            buttons.forEach((of) => show(of, shown));
        },
        { class: "quiet" },
    );
    for (const of of buttons) {
        const stand = (/** @type {boolean} */ out) =>
            lines.forEach((line) => line.classList.toggle("faint", out && isShown(of) && !isOf(line, of)));
        of.addEventListener("click", () => {
            show(of, !isShown(of));
            stand(true);
        });
        for (const event of ["pointerenter", "focus"]) of.addEventListener(event, () => stand(true));
        for (const event of ["pointerleave", "blur"]) of.addEventListener(event, () => stand(false));
    }
    list.append(make("li", {}, all));
}
