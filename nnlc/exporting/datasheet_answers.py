"""Questions of a datasheet, answered from tables and journals alone.

The questions are those of Gebru and others, Datasheets for Datasets, reworded. Their questions
about people are one question here, as the tables have no data about people.
"""

from collections.abc import Iterator

from nnlc.exporting.export_statistics import ExportStatistics
from nnlc.exporting.origins import (
    ARTICLE_AUTHORS,
    ARTICLE_DATE,
    ARTICLE_LICENSE,
    ARTICLE_TITLE,
    ARTICLE_URL,
    DATASET_URL,
    TERMS,
    Origins,
    Publication,
)
from nnlc.exporting.schema import VALUES
from nnlc.wording import counted

UNKNOWN = "Not known from the tables."
_NAMED = 10
"""Most lengths of curves that are listed."""
Section = tuple[str, list[tuple[str, list[str]]]]
"""Title of a section, and its questions, each with the paragraphs of its answer."""


def answers(facts: ExportStatistics, origins: Origins, publication: Publication) -> list[Section]:
    """Return all sections with their questions and answers."""
    return [
        ("Motivation", _motivation(origins, publication)),
        ("Composition", _composition(facts, origins)),
        ("Collection", _collection(origins)),
        ("Preparation", _preparation(origins)),
        ("Uses", _uses(origins)),
        ("Distribution", _distribution(origins, publication)),
        ("Maintenance", _maintenance(publication)),
    ]


def _own_and_published(origins: Origins, own: str, published: str) -> list[str]:
    """Return the answers for nnlc's own tables and for the article's, if there are any."""
    if origins.own and origins.published:
        return [f"Tables of nnlc: {own}", f"The article's tables: {published}"]
    return [own if origins.own else published]


def _motivation(origins: Origins, publication: Publication) -> list[tuple[str, list[str]]]:
    return [
        (
            "What was it made for?",
            _own_and_published(
                origins,
                UNKNOWN,
                "To study how networks learn, to predict how well they will do, and to develop "
                "the search for architectures: whole learning curves of good and bad networks.",
            ),
        ),
        (
            "Who made it?",
            _own_and_published(
                origins, ", ".join(publication.creators) or UNKNOWN, ", ".join(ARTICLE_AUTHORS)
            ),
        ),
        (
            "Who paid for it?",
            _own_and_published(
                origins,
                UNKNOWN,
                "The Oak Ridge Leadership Computing Facility (DE-AC05-00OR22725), Science Alliance "
                "at the University of Tennessee Knoxville, the National Science Foundation "
                "(1741057, 1841758), and IBM, as the article says.",
            ),
        ),
    ]


def _composition(facts: ExportStatistics, origins: Origins) -> list[tuple[str, list[str]]]:
    lengths = [
        f"{count} with {counted(length, 'half epoch')}" for length, count in facts.by_half_epochs
    ]
    more = [f"{len(lengths) - _NAMED} more lengths"] if lengths[_NAMED:] else []
    return [
        (
            "What is an instance?",
            [
                "A convolutional network with random parameters: its specification, and its "
                "learning curve, with the training loss, the validation loss and the validation "
                "accuracy after each half epoch.",
            ],
        ),
        (
            "How many are there?",
            [
                f"Networks: {origins.tables}; {', '.join([*lengths[:_NAMED], *more])}.",
                f"The article's among them, by their own word: {origins.published}.",
            ],
        ),
        (
            "Is it a sample of something larger?",
            _own_and_published(
                origins,
                "Networks are drawn at random from the search space of their campaign. Whether all "
                "of its tables are here is not known from the tables.",
                "The article has 6,000 networks, 200 for each of three datasets and each number of "
                "convolutions from 1 to 10, drawn at random.",
            ),
        ),
        ("Is anything missing, wrong or odd?", list(_oddities(facts, origins))),
        (
            "Do networks belong together?",
            ["By dataset and depth only. Each was generated and trained by itself."],
        ),
        ("Which splits are recommended?", [UNKNOWN]),
        (
            "Does it stand by itself?",
            [
                "Yes, but for the images, which are not in it.",
                "The networks can be built again from their specifications.",
            ],
        ),
        (
            "Is anything in it confidential, offensive, or about people?",
            ["There are parameters, losses and accuracies in it, and nothing about people."],
        ),
    ]


def _oddities(facts: ExportStatistics, origins: Origins) -> Iterator[str]:
    for one in facts.datasets:
        for part, (nans, infinities, blanks) in zip(VALUES, one.odd, strict=True):
            if nans or infinities or blanks:
                yield (
                    f"{one.name}, half epochs in which {part.name} is nan: {nans}; infinite: "
                    f"{infinities}; blank: {blanks}."
                )
        if one.diverged:
            yield f"{one.name}, networks with a loss that is nan or infinite: {one.diverged}."
    if not any(sum(map(sum, one.odd)) for one in facts.datasets):
        yield "No value is nan, infinite or blank."
    if origins.published:
        yield (
            "In the article's tables val_loss is too small by the factor ⌊N/b⌋/⌈N/b⌉, for N "
            "validation images in batches of b: mean losses of the full batches were divided by "
            "the number of all batches. It is exported as published; "
            'nnlc.load_tables(…, val_loss="corrected") undoes it.'
        )
    yield from origins.mixed
    yield "fc_dropout_rate may be above 0 where no fully connected layer has dropout."
    yield (
        "Validation leaves out the last partial batch, so accuracies are multiples of "
        "100/(b·⌊N/b⌋) percent."
    )
    yield (
        "The training set is shuffled once an epoch, so the training loss of a network that "
        "overfits is lower after half epochs than after whole ones."
    )


def _collection(origins: Origins) -> list[tuple[str, list[str]]]:
    made = [f"{words}: {counted(count, 'table')}" for words, count in origins.makers]
    hours = origins.train_seconds / 3600
    return [
        (
            "How was it acquired?",
            [
                "Each network was generated from a random seed, trained by stochastic gradient "
                "descent on the cross entropy, and validated after each half epoch.",
                *(f"{which}: {what}" for which, what in origins.campaigns),
            ],
        ),
        (
            "With which software and devices?",
            _own_and_published(
                origins,
                "; ".join(made) or UNKNOWN,
                "PyTorch 1.3.1 and Python 3.6.10 on Summit, Oak Ridge National Laboratory, as the "
                "article says.",
            ),
        ),
        (
            "How long did it take?",
            [
                f"{hours:.3g} hours of training, over the {origins.recorded} of {origins.own} "
                "tables of nnlc that a journal tells of."
                if origins.recorded
                else UNKNOWN
            ],
        ),
        (
            "Over which time was it collected?",
            _own_and_published(
                origins,
                f"{UNKNOWN} An ID of nnlc is no clock reading.",
                "An ID has the form of a date and time.",
            ),
        ),
        (
            "Can it be made again?",
            _own_and_published(
                origins,
                "A table is a pure function of network, campaign, software and device, and comes "
                "out with the same bytes each time.",
                "The networks can be built, but their random streams were not recorded: curves "
                "come out alike, not the same.",
            ),
        ),
    ]


def _preparation(origins: Origins) -> list[tuple[str, list[str]]]:
    return [
        (
            "Was it cleaned or changed?",
            ["No. Values are as the tables have them, to the last bit."],
        ),
        (
            "Is the raw form kept?",
            [
                "'nnlc import' writes each table back, byte for byte, and compares its sha256.",
            ],
        ),
        (
            "How were the images prepared?",
            _own_and_published(
                origins,
                "As the campaign says, above." if origins.campaigns else UNKNOWN,
                "The article names no preparation.",
            ),
        ),
    ]


def _uses(origins: Origins) -> list[tuple[str, list[str]]]:
    return [
        (
            "What was it used for already?",
            _own_and_published(
                origins,
                UNKNOWN,
                "To predict fitness for architecture search (doi:10.1109/TPDS.2022.3140681), as "
                "the article says.",
            ),
        ),
        (
            "What should it not be used for?",
            [
                "To tell how good architectures can be: parameters are random, not tuned.",
                *(
                    ["To compare val_loss of published and other tables as they are."]
                    if origins.published and origins.own
                    else []
                ),
            ],
        ),
    ]


def _distribution(origins: Origins, publication: Publication) -> list[tuple[str, list[str]]]:
    return [
        (
            "Under which licence?",
            _own_and_published(
                origins,
                publication.license_url or f"{UNKNOWN} Ask who made them.",
                f"{TERMS} ({ARTICLE_LICENSE}, {DATASET_URL})",
            ),
        ),
        (
            "Where is it, and since when?",
            [
                publication.url or UNKNOWN,
                *([f"Since {publication.published}."] if publication.published else []),
                *(
                    [f"The article: {ARTICLE_TITLE}, {ARTICLE_DATE}, {ARTICLE_URL}"]
                    if origins.published
                    else []
                ),
            ],
        ),
        ("How is it cited?", origins.citation.split("\n")),
    ]


def _maintenance(publication: Publication) -> list[tuple[str, list[str]]]:
    return [
        ("Who maintains it?", [", ".join(publication.creators) or UNKNOWN]),
        ("Which version is this?", [publication.version]),
        ("Will it be updated, and are there errata?", [UNKNOWN]),
    ]
