// Maps on canvases.

/**
 * The size of a canvas that is shown so wide, in the pixels of the screen; at most the picture's own.
 * @param {number} width
 * @param {Size} size
 * @returns {Size}
 */
function sizeOnScreen(width, [own, height]) {
    const columns = Math.max(1, Math.min(own, Math.round(width * devicePixelRatio)));
    return [columns, Math.max(1, Math.round((columns * height) / own))];
}

/**
 * Draws the colours of a map alone.
 * @param {HTMLCanvasElement} canvas
 * @param {PageMap} map
 * @param {PictureData} data
 * @param {Size} size
 * @param {Paint} paint
 */
function drawLayer(canvas, map, data, size, { look, limits, table }) {
    const colours = layer(map, size, look, limits, table, partOf(data, size));
    [canvas.width, canvas.height] = size;
    penOf(canvas).putImageData(new ImageData(colours, ...size), 0, 0);
}

/**
 * Draws the outline of the truth alone.
 * @param {HTMLCanvasElement} canvas
 * @param {Truth} truth
 * @param {Size} size
 */
function drawTruth(canvas, truth, size) {
    [canvas.width, canvas.height] = size;
    penOf(canvas).putImageData(new ImageData(truthLayer(truth, size), ...size), 0, 0);
}

/**
 * Draws a photo with a map over it, as wide as the canvas is shown.
 * @param {HTMLCanvasElement} canvas
 * @param {Picture} picture
 * @param {PageMap} map
 * @param {Paint} paint
 */
function drawOverPhoto(canvas, { image, data }, map, paint) {
    const size = sizeOnScreen(canvas.clientWidth, data.size);
    const colours = make("canvas");
    drawLayer(colours, map, data, size, paint);
    [canvas.width, canvas.height] = size;
    const pen = penOf(canvas);
    pen.drawImage(image, 0, 0, ...size);
    pen.drawImage(colours, 0, 0);
}

/**
 * The picture with a map over it, exactly as the program draws it, at its full size.
 * @param {Picture} picture
 * @param {PageMap} map
 * @param {Paint} paint
 * @param {Truth | null} outline   the truth to be outlined
 */
function fullPicture({ image, data }, map, { look, limits, table }, outline) {
    const canvas = make("canvas");
    [canvas.width, canvas.height] = data.size;
    const pen = penOf(canvas);
    pen.drawImage(image, 0, 0, ...data.size);
    const pixels = pen.getImageData(0, 0, ...data.size);
    layOver(pixels.data, layer(map, data.size, look, limits, table, partOf(data, data.size)));
    if (outline) layOver(pixels.data, truthLayer(outline, data.size));
    pen.putImageData(pixels, 0, 0);
    return canvas;
}

/**
 * Fills a canvas with a bar of colours: what each place of it, from 0 to 1, has in the table of colours.
 * @param {HTMLCanvasElement} canvas
 * @param {Uint8Array} table
 * @param {(part: number) => number} valueAt   in [0, 1]
 */
function drawBar(canvas, table, valueAt) {
    canvas.width = 256;
    canvas.height = 1;
    const pixels = new ImageData(canvas.width, 1);
    for (let column = 0; column < canvas.width; column++) {
        const place = 3 * Math.round(valueAt(column / (canvas.width - 1)) * (COLOURS - 1));
        pixels.data.set([table[place], table[place + 1], table[place + 2], 255], 4 * column);
    }
    penOf(canvas).putImageData(pixels, 0, 0);
}
