// The parts of a report above its pictures. What they say is made by cbam-eval, and there without this script; it sorts the
// tables, marks the section that is read, and answers the pointer over the charts.

function setUpReport() {
    setUpContents();
    setUpCharts();
    for (const table of document.querySelectorAll(".wide table")) {
        if (table instanceof HTMLTableElement) setUpSorting(table);
    }
    const command = document.getElementById("report-command");
    const copy = button("Copy", () => command && copyWords(command, copy), { class: "copy" });
    command?.after(copy);
}

/** Marks the section that is read in the list of contents. */
function setUpContents() {
    const contents = document.querySelector(".contents");
    if (!(contents instanceof HTMLElement)) return;
    const links = [...contents.querySelectorAll("a")];
    if (links.length === 0) return;
    /** @type {HTMLAnchorElement | undefined} */
    let marked;
    const mark = () => {
        const line = contents.getBoundingClientRect().bottom + innerHeight / 5;
        const begins = (/** @type {HTMLAnchorElement} */ { hash }) =>
            (document.querySelector(hash)?.getBoundingClientRect().top ?? Infinity) < line;
        const last = links.filter(begins).at(-1) ?? links[0];
        if (last === marked) return;
        marked?.removeAttribute("aria-current");
        marked = last;
        last.setAttribute("aria-current", "true");
        // Not scrollIntoView: it would scroll the page too.
        contents.scrollLeft = last.offsetLeft - contents.clientWidth / 3;
    };
    addEventListener("scroll", mark, { passive: true });
    new ResizeObserver(mark).observe(contents); // and as soon as it is shown
}

/**
 * Makes the names of a table's columns buttons that sort it: the best first, the other way round, as it was.
 * @param {HTMLTableElement} table
 */
function setUpSorting(table) {
    const names = [...(table.tHead?.rows[0].cells ?? [])];
    const body = table.tBodies[0];
    const rows = [...body.rows];
    const sort = (/** @type {number} */ column) => {
        const usual = usualOrder(names[column], column);
        const order = names[column].getAttribute("aria-sort");
        names.forEach((name) => name.removeAttribute("aria-sort"));
        const wanted = orderAfter(order, usual);
        if (wanted) names[column].setAttribute("aria-sort", wanted);
        body.append(...(wanted ? sortedRows(rows, column, wanted === "descending") : rows));
        const words = names[column].textContent?.trim() ?? "";
        announce(wanted ? `Sorted by ${words}, ${wanted}` : "In the order of the report");
    };
    names.forEach((name, column) => {
        const press = button("", () => sort(column), { class: "sort", title: "Sort" });
        press.append(...name.childNodes);
        name.append(press);
    });
}

/**
 * Where less is better, the least comes first; so do the first letters of names.
 * @param {HTMLTableCellElement} name
 * @param {number} column
 */
function usualOrder(name, column) {
    return column === 0 || name.textContent?.includes("↓") ? "ascending" : "descending";
}

/**
 * The usual order, the other way round, none: one after the other.
 * @param {string | null} order
 * @param {"ascending" | "descending"} usual
 */
function orderAfter(order, usual) {
    if (order === null) return usual;
    if (order !== usual) return null;
    return usual === "ascending" ? "descending" : "ascending";
}

/**
 * Rows in the order of a column. Baselines stay last, and so does what has no number, whichever way it goes.
 * @param {HTMLTableRowElement[]} rows
 * @param {number} column
 * @param {boolean} down
 */
function sortedRows(rows, column, down) {
    const { compare } = new Intl.Collator("en", { numeric: true });
    const sign = down ? -1 : 1;
    const keyed = rows.map((row) => {
        const text = textOfCell(row.cells[column]);
        const number = column === 0 ? 0 : Number.parseFloat(text.replace("−", "-").replace(/[\s,]/g, ""));
        const last = Number(row.classList.contains("baseline")) + Number(Number.isNaN(number)) / 2;
        return { row, text, number, last };
    });
    keyed.sort(
        (a, b) => a.last - b.last || sign * (column === 0 ? compare(a.text, b.text) : a.number - b.number || 0),
    );
    return keyed.map(({ row }) => row);
}

/**
 * What a cell is sorted by: its value, not its error.
 * @param {HTMLTableCellElement | undefined} cell
 */
function textOfCell(cell) {
    return (cell?.querySelector(".value") ?? cell)?.textContent?.trim() ?? "";
}
