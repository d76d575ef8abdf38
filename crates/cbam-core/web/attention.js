// Where a patch looks, and what looks at it.

/**
 * A patch's place in its grid, in reading order.
 * @typedef {number} Patch
 * @typedef {"looks" | "looked"} Direction   what the patch looks at, or what looks at it
 */

/**
 * The heads that a view is of: one, or all, whose mean it is.
 * @param {Attention} attention
 * @param {number | null} head
 */
function headsOf({ heads }, head) {
    return head === null ? Array.from({ length: heads }, (_, index) => index) : [head];
}

/**
 * How much one patch looks at another, times the number of patches: 1 is uniform attention.
 * @param {Attention} attention
 * @param {number | null} head
 * @param {Patch} from
 * @param {Patch} to
 */
function weightBetween(attention, head, from, to) {
    const { scales, codes, grid } = attention;
    const patches = grid[0] * grid[1];
    const heads = headsOf(attention, head);
    const weightIn = (/** @type {number} */ head) => {
        const row = head * patches + from;
        return (scales[row] * codes[row * patches + to]) / greatestCode(codes);
    };
    return (heads.reduce((sum, head) => sum + weightIn(head), 0) / heads.length) * patches;
}

/**
 * The weights of a patch to all, or of all to it.
 * @param {Attention} attention
 * @param {number | null} head
 * @param {Patch} patch
 * @param {Direction} direction
 */
function weightsOf(attention, head, patch, direction) {
    const weights = new Float32Array(attention.grid[0] * attention.grid[1]);
    return weights.map((_, other) => {
        const [from, to] = direction === "looks" ? [patch, other] : [other, patch];
        return weightBetween(attention, head, from, to);
    });
}
