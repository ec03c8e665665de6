"""Draw the sample data: 800 small chalk sketches of circles, triangles, squares and stars.

Writes beside itself, and replaces what is there:
    images/      0000.png ... 0799.png, grey, 28 x 28; the names do not give the class away
    oracle.csv   the true class of the 600 images of the pool: who looks here plays the person who labels
    labels.csv   20 images of the pool, 5 of each class: a start, far too few for a good network
    test.csv     the 200 images that measure how well a network does

Run it with `python sample_data/make_sample_data.py`. One seed decides everything, so a second run with the same
versions of Pillow and numpy gives the same bytes.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageDraw

HERE = Path(__file__).resolve().parent
SEED = 0

# Some classes are rarer than others, as in most real pools.
IMAGES_PER_CLASS = {"circle": 280, "triangle": 240, "square": 160, "star": 120}
TEST_IMAGES = 200
LABELLED_PER_CLASS = 5

SIZE = 28
ZOOM = 4  # Pillow draws lines with hard edges; drawing large and shrinking makes them soft.
POINTS = 160  # points along a stroke, enough for it to look smooth


# --- the stroke: an array of points (POINTS, 2) around the origin, in a circle of radius 1 ---


def corners(name: str) -> np.ndarray:
    """The corners of an upright shape, one after the other around the origin."""
    count = {"circle": 40, "triangle": 3, "square": 4, "star": 10}[name]
    radii = np.resize([1, 0.45] if name == "star" else [1], count)
    first = np.pi / 4 if name == "square" else -np.pi / 2  # y points down in an image, so -pi / 2 is the top
    angles = first + 2 * np.pi * np.arange(count) / count
    return radii[:, None] * np.column_stack([np.cos(angles), np.sin(angles)])


def outline(points: np.ndarray) -> np.ndarray:
    """Walk from corner to corner and back to the first, in equal steps."""
    loop = np.vstack([points, points[:1]])
    walked = np.append(0, np.cumsum(np.linalg.norm(np.diff(loop, axis=0), axis=1)))
    steps = np.linspace(0, walked[-1], POINTS)
    return np.column_stack([np.interp(steps, walked, loop[:, axis]) for axis in (0, 1)])


def wobble(rng: Generator, amount: float) -> np.ndarray:
    """The slow drift of an unsteady hand; it does not come full circle, so the ends of a stroke rarely meet."""
    time = np.linspace(0, 1, POINTS)[:, None]
    speeds = rng.uniform(0.5, 4, size=(4, 1, 2))
    starts = rng.uniform(0, 2 * np.pi, size=(4, 1, 2))
    return amount * np.sin(2 * np.pi * speeds * time + starts).mean(axis=0)


def place(rng: Generator, stroke: np.ndarray) -> np.ndarray:
    """Turn, squeeze, scale and shift a stroke to pixels of the final image, where it (nearly) always fits."""
    turn = rng.uniform(-0.4, 0.4)  # up to 23 degrees; any angle at all would need far more than 600 images to learn
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    squeeze = rng.uniform(0.75, 1, size=2)
    radius = rng.uniform(8.5, 11.5)
    room = SIZE / 2 - radius - 1
    centre = SIZE / 2 + rng.uniform(-room, room, size=2)
    return centre + radius * squeeze * (stroke @ rotation.T)


def shape_stroke(rng: Generator, name: str) -> np.ndarray:
    """A shape of the named class, as a hurried hand would draw it."""
    aimed = corners(name)
    miss = 0 if name == "circle" else 0.07  # a circle has no corners that a hand could miss
    reached = aimed + rng.normal(0, miss, size=aimed.shape)
    started = np.roll(outline(reached), rng.integers(POINTS), axis=0)  # the pen goes down anywhere on the outline ...
    lifted = int(POINTS * rng.uniform(0.85, 1))  # ... and up again before it is back
    return place(rng, (started + wobble(rng, 0.13))[:lifted])


def distractor_stroke(rng: Generator) -> np.ndarray:
    """A short, slightly bent scratch that belongs to no class."""
    start = rng.uniform(2, SIZE - 2, size=2)
    angle = rng.uniform(0, 2 * np.pi)
    end = start + rng.uniform(4, 9) * np.array([np.cos(angle), np.sin(angle)])
    return np.linspace(start, end, POINTS) + wobble(rng, 0.8)


# --- the picture ---


def draw(strokes: Iterable[tuple[np.ndarray, float]]) -> np.ndarray:
    """Strokes and their widths, in pixels, as an anti-aliased picture with values from 0 to 1."""
    canvas = Image.new("L", (SIZE * ZOOM, SIZE * ZOOM))
    pen = ImageDraw.Draw(canvas)
    for points, width in strokes:
        radius = width * ZOOM / 2
        for x, y in points * ZOOM:  # a row of dots: round ends and round joints, which Pillow's own lines lack
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(canvas.resize((SIZE, SIZE), Image.Resampling.BOX), dtype=float) / 255


def sketch(rng: Generator, name: str) -> Image.Image:
    """One image: chalk on a dark board, now faint, now bright, with grain and up to two scratches."""
    scratches = rng.choice(3, p=[0.4, 0.4, 0.2])
    strokes = [(shape_stroke(rng, name), rng.uniform(1.2, 2.6))]
    strokes += [(distractor_stroke(rng), rng.uniform(0.8, 1.4)) for _ in range(scratches)]
    board, chalk = rng.uniform(0.02, 0.2), rng.uniform(0.55, 1)
    picture = board + (chalk - board) * draw(strokes)
    grain = rng.normal(0, rng.uniform(0.01, 0.06), size=picture.shape)
    return Image.fromarray((255 * np.clip(picture + grain, 0, 1)).round().astype(np.uint8))


# --- the files ---


def write_csv(name: str, images: Iterable[int], classes: np.ndarray) -> None:
    """Write the named images and their classes, in the order of their paths."""
    rows = [f"{number:04d}.png,{classes[number]}\n" for number in sorted(images)]
    (HERE / name).write_text("image,label\n" + "".join(rows), encoding="utf-8", newline="\n")


def main() -> None:
    rng = np.random.default_rng(SEED)
    # classes[number] is the class of image `number`: shuffled, so that neither name nor order gives it away.
    classes = rng.permutation(np.repeat(list(IMAGES_PER_CLASS), list(IMAGES_PER_CLASS.values())))
    test, pool = np.split(rng.permutation(len(classes)), [TEST_IMAGES])
    labelled = [number for name in IMAGES_PER_CLASS for number in pool[classes[pool] == name][:LABELLED_PER_CLASS]]

    shutil.rmtree(HERE / "images", ignore_errors=True)  # an image that is no longer drawn must not stay behind
    (HERE / "images").mkdir()
    for number, name in enumerate(classes):
        sketch(rng, name).save(HERE / "images" / f"{number:04d}.png", optimize=True)
    write_csv("oracle.csv", pool, classes)
    write_csv("test.csv", test, classes)
    write_csv("labels.csv", labelled, classes)


if __name__ == "__main__":
    main()
