// The command that gives the picture that is shown.

/**
 * A word as a POSIX shell reads it.
 * @param {string} word
 */
function shellWord(word) {
    return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/**
 * A file's name as a program reads it: one that begins with a dash would be an option.
 * @param {string} name
 */
function fileWord(name) {
    return name.startsWith("-") ? `./${name}` : name;
}

/**
 * A range of values as the program writes it.
 * @param {Scale} scale
 */
function scaleWord(scale) {
    return "low" in scale ? `${scale.kind}:${shortest(scale.low)},${shortest(scale.high)}` : scale.kind;
}

/**
 * @param {string} word
 * @returns {Scale}
 */
function scaleOfWord(word) {
    const [kind, numbers] = word.split(":");
    if (kind !== "percentile" && kind !== "fixed") return { kind: kind === "run" ? "run" : "image" };
    const [low, high] = numbers.split(",").map(Number);
    return { kind, low, high };
}

/**
 * The options of a look, but for those that the program takes anyhow.
 * @param {Look} look
 * @param {Head["usual"]} usual
 */
function lookWords(look, usual) {
    const scale = scaleWord(look.scale);
    return [
        ...(look.colormap === usual.colormap ? [] : ["--colormap", look.colormap]),
        ...(look.opacity === usual.opacity ? [] : ["--opacity", look.opacity]),
        ...(look.alpha === usual.alpha[look.opacity] ? [] : ["--alpha", shortest(look.alpha)]),
        ...(look.resample === usual.resample ? [] : ["--resample", look.resample]),
        ...(scale === usual.scale ? [] : ["--scale", scale]),
        ...(look.contour === null ? [] : ["--contour", shortest(look.contour)]),
    ];
}

/**
 * A look of which a run of one picture makes the same: the range of a whole run is one of fixed numbers then.
 * @param {Look} look
 * @param {PageMap} map
 * @param {Head["spans"]} spans
 * @returns {Look}
 */
function lookOfOnePicture(look, map, spans) {
    if (look.scale.kind !== "run") return look;
    const { low, high } = limitsOf(map, look.scale, spans);
    return { ...look, scale: low < high ? { kind: "fixed", low, high } : { kind: "image" } };
}

/**
 * The words of the command for a picture with one map over it, or with two beside each other.
 * @param {Head} head
 * @param {Picture} picture
 * @param {PageMap[]} maps
 * @param {Look} look
 */
function commandWords(head, picture, maps, look) {
    const names = maps.map(({ name }) => name);
    const ofClass = maps.find(({ explains }) => explains !== null && explains !== picture.data.likeliest);
    const own = head.film ? look : lookOfOnePicture(look, maps[0], head.spans);
    return [
        ...head.command,
        fileWord(picture.name),
        ...(names.length > 1 ? ["--compare", names.join(",")] : ["--map", names[0]]),
        // A picture that moves is a film if that is one.
        ...(head.film ? ["--overlay", fileWord(`${fileOf(picture.name).replace(/\.[^.]*$/, "")}-overlay.mp4`)] : []),
        ...names.flatMap((name) => head.methods[name.split(":")[0]] ?? []),
        ...(ofClass ? ["--class", String(ofClass.explains)] : []),
        ...lookWords(own, head.usual),
    ];
}
