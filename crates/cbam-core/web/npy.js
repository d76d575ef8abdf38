// Files that the page gives out.

/**
 * Numbers as numpy saves them: little-endian float32, version 1.0.
 * @param {Float32Array} values
 * @param {number[]} shape
 * @returns {Blob}
 */
function npyOf(values, shape) {
    const PREFIX = 10; // the magic string, the version, and the header's length
    const sides = shape.length === 1 ? `${shape[0]},` : shape.join(", ");
    const header = `{'descr': '<f4', 'fortran_order': False, 'shape': (${sides})}`;
    // The numbers begin at a multiple of 64.
    const length = Math.ceil((PREFIX + header.length + 1) / 64) * 64 - PREFIX;
    const bytes = new Uint8Array(PREFIX + length);
    bytes.set([0x93, ..."NUMPY"].map((part) => (typeof part === "string" ? part.charCodeAt(0) : part)));
    bytes.set([1, 0, length & 0xff, length >> 8], 6);
    bytes.set(new TextEncoder().encode(`${header.padEnd(length - 1)}\n`), PREFIX);
    const numbers = new DataView(new ArrayBuffer(4 * values.length));
    values.forEach((value, at) => numbers.setFloat32(4 * at, value, true));
    return new Blob([bytes, numbers], { type: "application/octet-stream" });
}

/**
 * @param {Blob} blob
 * @param {string} name
 */
function download(blob, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // the browser may still be reading it
}

/**
 * The name of a picture's file of a map, as the program calls it: `photo.patch-stage7-0.png`.
 * @param {string} picture
 * @param {string} map
 * @param {string} extension
 */
function fileName(picture, map, extension) {
    const stem = fileOf(picture).replace(/\.[^.]*$/, "");
    const words = map.replace("@", "-at-").split(/[^\w.+-]+/);
    return `${stem}.${words.join("-")}.${extension}`;
}
