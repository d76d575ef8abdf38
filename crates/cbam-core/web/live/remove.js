// Taking photos off the page's list: by a button on each card and at each line of those that were not read, or by a key.

/**
 * The button that takes a picture off the list.
 * @param {LiveActs} live
 * @param {number} index
 * @param {string} name
 * @param {Record<string, number>} [attributes]
 */
function removal(live, index, name, attributes = {}) {
    const words = `Take ${fileOf(name)} off the list`;
    const element = button("×", () => removeFrom(live, index), { class: "remove", title: words, ...attributes });
    element.setAttribute("aria-label", words);
    return element;
}

/**
 * The key does so on a card that has the focus.
 * @param {HTMLElement} list
 * @param {LiveActs} live
 */
function setUpRemoving(list, live) {
    list.addEventListener("keydown", (event) => {
        const card = event.target instanceof Element ? event.target.closest(".card") : null;
        if (event.key !== "Delete" || !(card instanceof HTMLElement)) return;
        event.preventDefault();
        removeFrom(live, Number(card.dataset.index));
    });
}

/**
 * The focus goes to the next in the list, or to the one before it.
 * @param {LiveActs} live
 * @param {number} index
 */
function removeFrom(live, index) {
    const item = document.querySelector(`#cards [data-index="${index}"], #error-list [data-index="${index}"]`);
    const beside = item?.nextElementSibling ?? item?.previousElementSibling;
    const next = beside instanceof HTMLElement ? `#${beside.parentElement?.id} [data-index="${beside.dataset.index}"]` : null;
    live.remove(index);
    requestAnimationFrame(() => {
        const taker = (next && document.querySelector(`${next} :is(a, button)`)) ?? byId("choose", HTMLElement);
        if (taker instanceof HTMLElement) taker.focus();
    });
}
