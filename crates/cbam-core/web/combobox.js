// A box in which a class or a map is typed, with a list of those that fit: the "editable combobox with list autocomplete" of
// the ARIA practices.

/**
 * @template {number | string} Id
 * @typedef {{ id: Id, words: string, note: string }} Choice
 */

/**
 * @template {number | string} Id
 * @typedef {object} ComboboxParts
 * @property {HTMLInputElement} input
 * @property {HTMLUListElement} list
 * @property {(text: string) => Choice<Id>[]} choices   what there is to choose when this is typed
 * @property {(choice: Choice<Id>) => void} choose
 * @property {() => void} [clear]   the box is emptied
 * @property {[string, string]} [kind]   what one and what several of the choices are called
 */

/** How many matches are listed at once. */
const MATCHES = 30;

/**
 * The choices whose number or name begins with the text, then those that have it elsewhere in their names.
 * @template {number | string} Id
 * @param {Choice<Id>[]} choices
 * @param {string} text
 */
function matchesOf(choices, text) {
    const wanted = text.trim().toLowerCase();
    const begins = (/** @type {Choice<Id>} */ { id, words }) =>
        words.toLowerCase().startsWith(wanted) || (wanted !== "" && String(id).startsWith(wanted));
    const exactly = (/** @type {Choice<Id>} */ { id, words }) => words.toLowerCase() === wanted || String(id) === wanted;
    const first = choices.filter(begins).sort((a, b) => Number(exactly(b)) - Number(exactly(a)));
    return [...first, ...choices.filter((choice) => !begins(choice) && choice.words.toLowerCase().includes(wanted))];
}

/**
 * The list below the box. The focus stays in the box, which says what is marked.
 * @template {number | string} Id
 * @param {HTMLInputElement} input
 * @param {HTMLUListElement} list
 * @param {(choice: Choice<Id>) => void} take
 */
function makeMatchList(input, list, take) {
    /** @type {Choice<Id>[]} */
    let matches = [];
    let marked = -1;
    const mark = (/** @type {number} */ place) => {
        marked = place;
        [...list.children].forEach((option, at) => option.setAttribute("aria-selected", String(at === marked)));
        const option = list.children[marked];
        input.setAttribute("aria-activedescendant", option?.id ?? "");
        option?.scrollIntoView({ block: "nearest" });
    };
    const show = (/** @type {Choice<Id>[]} */ shown) => {
        matches = shown.slice(0, MATCHES);
        list.replaceChildren(...matches.map((choice, place) => optionOf(choice, `${list.id}-${place}`, take)));
        list.hidden = matches.length === 0;
        input.setAttribute("aria-expanded", String(!list.hidden));
        mark(-1);
    };
    /** Takes the marked match, or else the first. */
    const takeMarked = () => {
        const match = matches.at(Math.max(0, marked));
        if (match) take(match);
    };
    /** Marks the match so many places on; the first or the last, where none is marked. */
    const step = (/** @type {number} */ by) => {
        const from = marked < 0 && by < 0 ? 0 : marked;
        if (matches.length) mark((from + by + matches.length) % matches.length);
    };
    return { show, takeMarked, step };
}

/**
 * @template {number | string} Id
 * @param {Choice<Id>} choice
 * @param {string} id
 * @param {(choice: Choice<Id>) => void} take
 */
function optionOf(choice, id, take) {
    const note = make("span", { class: "note" }, choice.note);
    const option = make(
        "li",
        { role: "option", id, "aria-selected": "false", "data-id": choice.id },
        choice.words,
        " ",
        note,
    );
    option.addEventListener("click", () => take(choice));
    return option;
}

/**
 * @template {number | string} Id
 * @param {ComboboxParts<Id>} parts
 */
function makeCombobox({ input, list, choices, choose, clear, kind = ["class", "classes"] }) {
    const matches = makeMatchList(input, list, (/** @type {Choice<Id>} */ choice) => {
        input.value = choice.words;
        close();
        choose(choice);
    });
    const close = () => matches.show([]);
    const open = () => {
        if (input.value === "") clear?.();
        const fit = matchesOf(choices(input.value), input.value);
        matches.show(fit);
        announce(`${grouped(fit.length)} ${kind[fit.length === 1 ? 0 : 1]}`);
    };
    const step = (/** @type {number} */ by) => {
        if (list.hidden) open();
        matches.step(by);
    };
    const leave = () => {
        if (!list.hidden) return close();
        if (input.value === "") return input.blur();
        input.value = "";
        return clear?.();
    };
    /** @type {Record<string, () => void>} */
    const keys = { ArrowDown: () => step(1), ArrowUp: () => step(-1), Enter: matches.takeMarked, Escape: leave };
    input.addEventListener("input", open);
    input.addEventListener("click", () => list.hidden && open());
    input.addEventListener("blur", close);
    list.addEventListener("pointerdown", (event) => event.preventDefault()); // the box keeps the focus
    input.addEventListener("keydown", (event) => {
        const act = keys[event.key];
        if (!act || event.isComposing) return;
        event.preventDefault();
        event.stopPropagation(); // Escape would leave the picture
        act();
    });
}
