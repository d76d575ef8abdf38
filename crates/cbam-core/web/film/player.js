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
    const shown = makeFrames(viewer, film);
    const last = data.times.length - 1;
    /** When a frame begins and ends; the last is as long as the one before it. @param {number} index */
    const timeOf = (index) => {
        const begin = data.times[index];
        return [begin, data.times[index + 1] ?? 2 * begin - (data.times[index - 1] ?? begin - 2 * ROUNDED)];
    };
    /** The frame that is to be shown, while it is on its way. @type {number | null} */
    let wanted = null;

    const seek = () => {
        if (wanted === null || video.seeking) return;
        // The middle of the frame: wherever the browser rounds to, it is that frame.
        const [begin, end] = timeOf(wanted);
        video.currentTime = (begin + end) / 2000;
    };
    const arrived = async () => {
        const index = wanted;
        if (index === null) return;
        const [begin, end] = timeOf(index);
        const time = 1000 * video.currentTime;
        if (time + ROUNDED < begin || time - ROUNDED > end) seek(); // another one is wanted since
        else {
            wanted = null;
            shown(index, true);
        }
    };
    const show = (/** @type {number} */ index) => {
        video.pause();
        wanted = Math.min(last, Math.max(0, index));
        seek();
    };
    video.addEventListener("seeked", arrived);
    whilePlaying(video, (time) => {
        if (wanted === null) shown(frameAt(data.times, time + ROUNDED), video.paused);
    });
    video.addEventListener("pause", () => {
        if (wanted === null) shown(store.state.frame, true);
    });
    shown(0, true);
    return {
        toggle: () => {
            if (!video.paused) video.pause();
            else {
                if (video.ended || store.state.frame === last) video.currentTime = 0;
                wanted = null;
                void video.play();
            }
        },
        show,
        step: (by) => show((wanted ?? store.state.frame) + by),
        isWaiting: () => wanted !== null,
    };
}

/**
 * Calls with the time of each frame that the video shows by itself, in milliseconds.
 * @param {HTMLVideoElement} video
 * @param {(time: number) => void} call
 */
function whilePlaying(video, call) {
    // Firefox before 132 has none.
    if (typeof video.requestVideoFrameCallback === "function") {
        const next = (/** @type {number} */ _, /** @type {VideoFrameCallbackMetadata} */ { mediaTime }) => {
            call(1000 * mediaTime);
            video.requestVideoFrameCallback(next);
        };
        video.requestVideoFrameCallback(next);
        return;
    }
    const next = () => {
        if (!video.paused && !video.seeking) call(1000 * video.currentTime);
        requestAnimationFrame(next);
    };
    next();
}

/**
 * Shows what the video shows as the frame of an index, with its maps; at rest with all that takes time to draw.
 * @param {Viewer} viewer
 * @param {Film} film
 * @returns {(index: number, isAtRest: boolean) => void}
 */
function makeFrames({ store }, { data, video, picture, mapsAt }) {
    const canvases = [picture.image, make("canvas", { role: "img", "aria-label": data.name })];
    ["picture", "picture-other"].forEach((id, at) => {
        canvases[at].id = `frame-${id}`;
        byId(id, HTMLImageElement).replaceWith(canvases[at]);
    });
    let drawn = -Infinity;
    return (index, isAtRest) => {
        for (const canvas of canvases) {
            if (!(canvas instanceof HTMLCanvasElement)) continue;
            [canvas.width, canvas.height] = data.video.size;
            penOf(canvas).drawImage(video, 0, 0, ...data.video.size);
        }
        picture.frame = index;
        picture.maps = mapsAt(index);
        picture.top = data.top[index];
        const now = performance.now();
        if (isAtRest || now - drawn > SELDOM) drawn = now;
        // A frame is told by its number, what takes time by when it was drawn.
        store.set({ frame: index, drawn });
    };
}
