// Keys that act wherever the focus is, and the dialog that names them.

/** @typedef {{ key: string, words: string, act?: () => void }} Key   without `act` it is one of the focused element */
/** @typedef {{ title: string, keys: Key[], isActive: () => boolean }} KeyGroup */

/** @type {Record<string, string>} */
const KEY_NAMES = { Escape: "Esc", ArrowKeys: "Arrows" };

/** @param {KeyGroup[]} groups */
function setUpKeys(groups) {
    const dialog = byId("keys", HTMLDialogElement);
    const letters = byId("single-keys", HTMLInputElement);
    const active = () => groups.filter(({ isActive }) => isActive());
    const open = () => {
        byId("key-tables", HTMLElement).replaceChildren(...active().map(keyTable));
        dialog.showModal();
        dialog.scrollTop = 0; // the button that has the focus stands at the end
    };
    const help = { key: "?", words: "These keys", act: open };
    groups[0].keys.unshift(help);
    byId("help", HTMLButtonElement).addEventListener("click", open);
    document.addEventListener("keydown", (event) => {
        if (dialog.open || !isPlainKey(event) || (event.key.length === 1 && !letters.checked)) return;
        const pressed = event.key.length === 1 ? event.key.toLowerCase() : event.key;
        const found = active()
            .flatMap(({ keys }) => keys)
            .find(({ key, act }) => key === pressed && act);
        if (!found) return;
        event.preventDefault();
        found.act?.();
    });
}

/**
 * Whether a key is pressed by itself, and nothing else takes it.
 * @param {KeyboardEvent} event
 */
function isPlainKey({ defaultPrevented, ctrlKey, metaKey, altKey, target }) {
    return !(defaultPrevented || ctrlKey || metaKey || altKey || isTypedInto(target));
}

/** @param {KeyGroup} group */
function keyTable({ title, keys }) {
    const rows = keys.map(({ key, words }) => {
        const name = KEY_NAMES[key] ?? (/^[a-z]$/.test(key) ? key.toUpperCase() : key);
        return make("tr", {}, make("th", { scope: "row" }, make("kbd", {}, name)), make("td", {}, words));
    });
    return make("table", {}, make("caption", {}, title), make("tbody", {}, ...rows));
}
