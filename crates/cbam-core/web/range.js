// A choice of two values, one below the other, by two thumbs on one track, or as numbers.

/** @typedef {{ low: number, high: number }} Ends */
/** @typedef {Ends & { least: number, most: number, step: number }} RangeState */

/**
 * @param {HTMLElement} box
 * @param {(ends: Ends) => void} choose
 */
function makeRange(box, choose) {
    const track = make("canvas", { class: "track", "aria-hidden": "true" });
    const thumb = (/** @type {string} */ name) => make("input", { type: "range", "aria-label": name });
    const thumbs = { low: thumb("Low end"), high: thumb("High end") };
    const numbers = { low: make("input", { type: "number" }), high: make("input", { type: "number" }) };
    box.append(
        make("div", { class: "thumbs" }, track, thumbs.low, thumbs.high),
        make("label", { class: "field" }, "From ", numbers.low),
        make("label", { class: "field" }, "to ", numbers.high),
    );
    /** @type {RangeState} */
    let state = { low: 0, high: 1, least: 0, most: 1, step: 1 };

    const take = (/** @type {keyof Ends} */ end, /** @type {number} */ value) => {
        if (!Number.isFinite(value)) return;
        const { least, most, step, low, high } = state;
        // The ends never meet.
        if (end === "low") choose({ low: Math.min(Math.max(least, value), high - step), high });
        else choose({ low, high: Math.max(Math.min(most, value), low + step) });
    };
    for (const end of /** @type {const} */ (["low", "high"])) {
        thumbs[end].addEventListener("input", () => take(end, thumbs[end].valueAsNumber));
        numbers[end].addEventListener("change", () => take(end, numbers[end].valueAsNumber));
    }
    const show = (/** @type {RangeState} */ shown) => {
        state = shown;
        for (const end of /** @type {const} */ (["low", "high"])) {
            for (const input of [thumbs[end], numbers[end]]) {
                input.min = String(shown.least);
                input.max = String(shown.most);
                input.step = input.type === "range" ? String(shown.step) : "any";
                input.value = shortest(shown[end]);
            }
        }
        // Where both thumbs lie at the right end, the lower one must be the one that can be taken.
        thumbs.low.classList.toggle("above", shown.low > (shown.least + shown.most) / 2);
    };
    return { track, show };
}
