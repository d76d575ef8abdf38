// Elements.

/**
 * An element of the page, of the kind that it is known to be.
 * @template {Element} Kind
 * @param {string} id
 * @param {new () => Kind} kind
 * @returns {Kind}
 */
function byId(id, kind) {
    const element = document.getElementById(id);
    if (element instanceof kind) return element;
    throw new Error(`the page has no ${kind.name} #${id}`);
}

/**
 * A new element. An attribute that is false is left out, one that is true stands without a value.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number | boolean>} [attributes]
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (value !== false) element.setAttribute(name, value === true ? "" : String(value));
    }
    element.append(...children);
    return element;
}

/**
 * A button that looks like its words.
 * @param {string} words
 * @param {() => void} press
 * @param {Record<string, string | number | boolean>} [attributes]
 */
function button(words, press, attributes = {}) {
    const element = make("button", { type: "button", ...attributes }, words);
    element.addEventListener("click", press);
    return element;
}

/**
 * A choice of one among few, as radio buttons side by side.
 * @template {string} Value
 * @param {HTMLElement} box
 * @param {[Value, string][]} options   values and their words
 * @param {(value: Value) => void} choose
 * @returns {(value: Value | null) => void}   shows which one is chosen
 */
function radios(box, options, choose) {
    const inputs = options.map(([value, words]) => {
        const input = make("input", { type: "radio", name: box.id, value });
        input.addEventListener("change", () => choose(value));
        box.append(make("label", { class: "choice" }, input, make("span", {}, words)));
        return input;
    });
    return (value) => inputs.forEach((input) => (input.checked = input.value === value));
}

/**
 * Fills a list of choices.
 * @param {HTMLSelectElement} select
 * @param {[string, string][]} options   values and their words
 */
function fillSelect(select, options) {
    select.replaceChildren(...options.map(([value, words]) => make("option", { value }, words)));
}

/**
 * Chooses what stands so many places on in a list of choices.
 * @param {HTMLSelectElement} select
 * @param {number} by
 */
function stepSelect(select, by) {
    select.selectedIndex = (select.selectedIndex + by + select.length) % select.length;
    select.dispatchEvent(new Event("change"));
}

/**
 * A canvas's pen.
 * @param {HTMLCanvasElement} canvas
 */
function penOf(canvas) {
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    if (!pen) throw new Error("this browser draws on no canvas");
    return pen;
}

/**
 * Calls back when an element comes near to what is seen of the page, and when it goes.
 * @typedef {(element: Element, come: () => void, go?: () => void) => void} Watch
 */

/** @returns {Watch} */
function makeWatch() {
    /** @type {WeakMap<Element, { come: () => void, go?: () => void }>} */
    const watched = new WeakMap();
    const observer = new IntersectionObserver(
        (entries) => {
            for (const { target, isIntersecting } of entries) {
                const calls = watched.get(target);
                if (isIntersecting) calls?.come();
                else calls?.go?.();
            }
        },
        { rootMargin: "400px" },
    );
    return (element, come, go) => {
        watched.set(element, { come, go });
        observer.observe(element);
    };
}

/**
 * Has every screen reader say it, as soon as it is done with what it says.
 * @param {string} words
 */
function announce(words) {
    byId("announcer", HTMLElement).textContent = words;
}

/**
 * Whether somebody types into what has the focus, so that no key means anything else.
 * @param {EventTarget | null} target
 */
function isTypedInto(target) {
    if (target instanceof HTMLInputElement) return !["radio", "checkbox", "range"].includes(target.type);
    return target instanceof HTMLSelectElement || target instanceof HTMLTextAreaElement;
}
