// The film with its maps over it: played, or frame by frame.

/** How fast it plays, to choose from. */
const SPEEDS = [0.1, 0.25, 0.5, 1, 2];

/** While it plays, what takes time to draw is drawn so often, in milliseconds. */
const SELDOM = 300;

/** The times of a video are rounded to this, in milliseconds. */
const ROUNDED = 1;

/**
 * @typedef {object} Player
 * @property {() => void} toggle   plays, or stops
 * @property {(index: number) => void} show   stops, and shows a frame
 * @property {(by: number) => void} step   shows the frame so many places on
 * @property {() => boolean} isWaiting   whether a frame is on its way
 */

/**
 * @param {Viewer} viewer
 * @param {Film} film
 * @returns {Player}
 */
function makePlayer(viewer, film) {
    const { store } = viewer;
    const { video, data } = film;
    const draw = makeDrawing(viewer, film);
    const last = data.times.length - 1;
    /** The frame that is to be shown, while it is on its way. @type {number | null} */
    let wanted = null;
    /** The one that the video was sent to. @type {number | null} */
    let sought = null;

    const seek = () => {
        if (wanted === null || video.seeking) return; // once it is there, it is sent on
        sought = wanted;
        video.currentTime = middleOfFrame(data.times, wanted) / 1000;
    };
    const show = (/** @type {number} */ index) => {
        video.pause();
        wanted = Math.min(last, Math.max(0, index));
        seek();
    };
    const play = () => {
        if (video.ended || (wanted ?? store.state.frame) === last) video.currentTime = 0;
        wanted = null;
        video.play().catch((error) => error.name === "AbortError" || showProblem(wordsOfError(error)));
    };
    video.addEventListener("seeked", () => {
        if (video.seeking) return; // again
        if (wanted !== sought) seek();
        else {
            wanted = null;
            draw(true);
        }
    });
    video.addEventListener("pause", () => draw(true));
    video.addEventListener("error", () => {
        wanted = null;
        showProblem(wordsOfVideo(video));
    });
    whilePlaying(video, () => draw(video.paused));
    draw(true);
    return {
        toggle: () => (video.paused ? play() : video.pause()),
        show,
        step: (by) => show((wanted ?? store.state.frame) + by),
        isWaiting: () => wanted !== null,
    };
}

/**
 * A time at which a frame is shown however a browser rounds, in milliseconds.
 * @param {number[]} times
 * @param {number} index
 */
function middleOfFrame(times, index) {
    return (times[index] + (times[index + 1] ?? times[index] + 2 * ROUNDED)) / 2;
}

/**
 * Calls at each frame that the video shows by itself.
 * @param {HTMLVideoElement} video
 * @param {() => void} call
 */
function whilePlaying(video, call) {
    // Firefox before 132 has none.
    if (typeof video.requestVideoFrameCallback === "function") {
        const next = () => {
            call();
            video.requestVideoFrameCallback(next);
        };
        video.requestVideoFrameCallback(next);
        return;
    }
    const next = () => {
        if (!video.paused && !video.seeking) call();
        requestAnimationFrame(next);
    };
    next();
}

/**
 * What a video shows, to be closed, and when that is shown, in milliseconds: the picture tells it, since the video may be further already.
 * @param {HTMLVideoElement} video
 * @returns {{ image: HTMLVideoElement | VideoFrame, time: number, close: () => void }}
 */
function shownBy(video) {
    // Firefox before 130 and Safari before 16.4 have none.
    if (typeof VideoFrame !== "function") return { image: video, time: 1000 * video.currentTime, close: () => {} };
    const image = new VideoFrame(video);
    return { image, time: image.timestamp / 1000, close: () => image.close() };
}

/**
 * Draws what the video shows, with the maps of that frame; at rest with all that takes time to draw.
 * @param {Viewer} viewer
 * @param {Film} film
 * @returns {(isAtRest: boolean) => void}
 */
function makeDrawing({ store }, { data, video, picture, mapsAt }) {
    const [width, height] = data.video.size;
    const canvases = ["picture", "picture-other"].map((id) => {
        const canvas = id === "picture" ? picture.image : make("canvas", { width, height, role: "img", "aria-label": data.name });
        canvas.id = `frame-${id}`;
        byId(id, HTMLImageElement).replaceWith(canvas);
        return /** @type {HTMLCanvasElement} */ (canvas);
    });
    let drawn = -Infinity;
    return (isAtRest) => {
        if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return; // it is on its way
        const { image, time, close } = shownBy(video);
        // Odd sides have one row more in the video.
        for (const canvas of canvases) penOf(canvas).drawImage(image, 0, 0, width, height, 0, 0, width, height);
        close();
        const frame = frameAt(data.times, time + ROUNDED);
        picture.frame = frame;
        picture.maps = mapsAt(frame);
        picture.top = data.top[frame];
        const now = performance.now();
        if (isAtRest || now - drawn > SELDOM) drawn = now;
        // A frame is told by its number, what takes time by when it was drawn.
        store.set({ frame, drawn });
    };
}
