// Numbers, classes and maps in words.

/**
 * A path's last name.
 * @param {string} path
 */
function fileOf(path) {
    return path.replace(/^.*[/\\](?=.)/s, "");
}

/**
 * A part of 1 in per cent, to two digits that say something.
 * @param {number} part
 */
function percent(part) {
    const value = 100 * part;
    if (value >= 99.5) return `${value > 99.95 ? 100 : value.toFixed(1)} %`;
    if (value > 0 && value < 0.001) return "< 0.001 %";
    return `${value === 0 ? "0" : value.toPrecision(2)} %`;
}

/**
 * To three digits.
 * @param {number} value
 */
function number(value) {
    const size = Math.abs(value);
    if (size === 0) return "0";
    if (size >= 1000) return grouped(Math.round(value));
    return size < 0.001 ? value.toExponential(1) : value.toPrecision(3);
}

/** Measures that a picture passes or does not. */
const YES_OR_NO = new Set(["pointing", "increase"]);

/**
 * A measure of one picture: in per cent, as a report's tables have it.
 * @param {Measure} measure
 * @param {number} value
 */
function measureInWords({ key }, value) {
    if (YES_OR_NO.has(key) && (value === 0 || value === 1)) return value ? "yes" : "no";
    return `${(100 * value).toFixed(1).replace("-", "−")} %`;
}

/**
 * A whole number, its thousands apart.
 * @param {number} value
 */
function grouped(value) {
    return value.toLocaleString("en-GB");
}

/**
 * The shortest decimals that are the same number of 32 bits.
 * @param {number} value
 */
function shortest(value) {
    const wanted = Math.fround(value);
    for (let digits = 1; digits < 9; digits++) {
        const text = String(Number(wanted.toPrecision(digits)));
        if (Math.fround(Number(text)) === wanted) return text;
    }
    return String(wanted);
}

/** @param {Size} size */
function sizeInWords([width, height]) {
    return `${grouped(width)} × ${grouped(height)}`;
}

/**
 * @param {Head["network"]} network
 * @param {number} id
 */
function className({ labels }, id) {
    return labels[id] ?? `class ${id}`;
}

/**
 * A map's value with its unit.
 * @param {number} value
 * @param {MapRange} range
 */
function valueInWords(value, range) {
    return range === "relative" ? `${number(value)} × uniform` : number(value);
}

const METHODS = new Map([
    ["gradcam", "Grad-CAM"],
    ["gradcam++", "Grad-CAM++"],
    ["hirescam", "HiResCAM"],
    ["layercam", "LayerCAM"],
    ["xgradcam", "XGrad-CAM"],
    ["eigencam", "Eigen-CAM, of no class"],
    ["scorecam", "Score-CAM"],
    ["ablationcam", "Ablation-CAM"],
    ["occlusion", "what the class loses while a square is hidden"],
    ["rise", "what the class loses while random parts are hidden"],
    ["relevance", "what the class takes from each patch"],
]);

const KINDS = new Map([
    ["fused", "what tells the class"],
    ["object", "the whole thing"],
    ["spatial", "a spatial gate"],
    ["patch", "the attention that each patch receives"],
    ["cls", "where the class token looks"],
    ["coordinate", "the gate of rows and columns"],
    ["rollout", "patch attention through all layers"],
    ["output", "a map that the network gives out"],
]);

/**
 * What a map says, in a few words.
 * @param {string} name
 */
function mapInWords(name) {
    const kind = name.replace(/[:@].*$/, "");
    return KINDS.get(kind) ?? METHODS.get(kind) ?? "";
}

/**
 * A map's layer, and what of it the map is: `patch:stage7:2` is the head 2 of `patch:stage7`. Null where it is no head or
 * channel.
 * @param {string} name
 */
function headInName(name) {
    const head = /^((?:patch|cls)(?::.+)?|output:\d+):(\d+)$/.exec(name);
    return head && { whole: head[1], head: Number(head[2]) };
}
