"""Names and columns of all files that dfal writes. No other module spells them out."""

CONTRACT = 1
"""Version of the file formats; files of another version are refused."""

# labels.csv
IMAGE, LABEL, TWIN = "image", "label", "twin"
LABELS_COLUMNS = (IMAGE, LABEL, TWIN)
SKIP = "__skip__"
"""Label of an unusable image, which is neither trained on nor queried again."""

# scores.parquet: column -> Arrow type. margin and crossing_class are null unless crossed.
PREDICTED, CONFIDENCE, CROSSING_CLASS = "predicted", "confidence", "crossing_class"
SCORES_COLUMNS = {
    IMAGE: "string",
    PREDICTED: "string",
    CONFIDENCE: "float32",
    "probability_gap": "float32",
    "entropy": "float32",
    "outcome": "string",
    "margin": "float32",
    CROSSING_CLASS: "string",
    "iterations": "int32",
    TWIN: "string",
}
VECTOR_MEASURES = EMBEDDING, PROBABILITIES = "embedding", "probabilities"
"""Vector measures: optional columns of scores.parquet, fixed-size lists of float32."""
SPACES = PIXEL_SPACE, EMBEDDING_SPACE = "pixel", "embedding"
"""The spaces in which margins are measured; a scores file holds margins of one."""
CROSSED, UNCROSSED, SKIPPED = "crossed", "uncrossed", "skipped"
"""Outcomes. A skipped image was not examined because it cannot be among the nearest."""

# predictions.csv, .parquet. No column is called label, so that predictions are never mistaken for answers.
PREDICTIONS_COLUMNS = {IMAGE: "string", PREDICTED: "string", CONFIDENCE: "float32"}
LOOK = "look"
"""Optional column, bool: whether the confidence is below --min-confidence."""
PROBABILITY_PREFIX = "probability_"
"""Optional columns, float32: the probability of each class."""

# <out>.meta.json: the metadata of scores or predictions as CSV
META_SUFFIX = ".meta.json"

# <out>.labelled.parquet: the embeddings of the labelled images
LABELLED_SUFFIX = ".labelled.parquet"

# embeddings.parquet: image, embedding and, where dfal computed them, the state of each image file; the weights of its
# backbone are in <embeddings>.backbone.safetensors
BACKBONE_SUFFIX = ".backbone.safetensors"
STATE_COLUMNS = SIZE, MODIFIED = "size", "modified"
"""Size in bytes and time of modification in nanoseconds of each image, int64."""

# queries.csv
RANK = "rank"
QUERIES_COLUMNS = (RANK, IMAGE, LABEL, "margin", TWIN)
CONTROL, IN_CONTROL = "control", "1"
"""The column that marks the queries drawn at random (select --control), in labels.csv as well, and its mark."""

# review.csv: a query list about labelled images. `labelled` is the label now; `label` is for the answer.
LABELLED, WHY = "labelled", "why"
REVIEW_COLUMNS = (RANK, IMAGE, LABEL, LABELLED, PREDICTED, CONFIDENCE, WHY)

# <labels>.keys.csv: the key of each class on the labelling page, which stays the same from round to round
KEYS_SUFFIX = ".keys.csv"
KEYS_COLUMNS = CLASS, KEY = "class", "key"

# <queries>.times.csv: how long people took for their answers on the labelling page, one row per reply
TIMES_SUFFIX = ".times.csv"
TIMES_COLUMNS = ("answers", SECONDS := "seconds")

# <queries>.conflicts.csv: images with two different answers. No column is called label: none of them is settled yet.
CONFLICTS_SUFFIX = ".conflicts.csv"
CONFLICTS_COLUMNS = (IMAGE, "first", "second")

# <out>.pseudo.csv. The column is not called label, so that predictions are never mistaken for answers.
PSEUDO_SUFFIX = ".pseudo.csv"
PSEUDO_LABEL = "pseudo_label"
PSEUDO_COLUMNS = (IMAGE, PSEUDO_LABEL)

# <out>.unreadable.csv
UNREADABLE_SUFFIX = ".unreadable.csv"
UNREADABLE_COLUMNS = (IMAGE, "reason")

# export --to: labelling tools, and forms of folders
HANDED_TO = ("labelstudio", "cvat", "fiftyone", "huggingface", "folder")

# simulate
RESULTS_COLUMNS = (
    "strategy", "trial", "round", "annotations", "accuracy", "loss", "label_entropy", "balanced_accuracy",
    "fewest_labels",
)  # fmt: skip
TIMINGS_COLUMNS = ("strategy", "trial", "round", "train_seconds", "query_seconds")

# key in a safetensors header or Parquet footer that holds dfal's canonical JSON
METADATA_KEY = "dfal"
