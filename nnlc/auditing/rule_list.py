"""Rules of an audit, with severity and source."""

from dataclasses import dataclass
from enum import IntEnum

from nnlc.families.layouts import article_layout
from nnlc.families.table_rules import rules_of


class Severity(IntEnum):
    """Severity of a finding."""

    NOTE = 1
    """Nothing is wrong; good to know."""
    WARNING = 2
    """Legal, but a person should look at it."""
    ERROR = 3
    """A rule is broken: the table is not as the dataset's or nnlc's program wrote it."""

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Rule:
    """Rule of an audit."""

    name: str
    severity: Severity
    source: str
    """Source of the rule."""
    says: str


_SECTION_1 = "data article, section 1"
_SECTION_2_1 = "data article, section 2.1"
_SECTION_2_2 = "data article, section 2.2"
_FIGURE_3 = "data article, Fig. 3"
_BYTES = "bytes of the published tables"
_TORCH = "PyTorch"
_ARITHMETIC = "arithmetic"
_SAMPLER = "nnlc's sampler"
_RESULTS = "nnlc's results folder"
_FOLDERS = "what nnlc reads of a folder"
_FAMILY = "code of the family"

_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE


def _own_rules() -> tuple[tuple[str, str, str], ...]:
    """Return name, source and text of the rules on tables whose header names no family."""
    rules = rules_of(article_layout())
    return rules.listed if rules else ()


_ALL = (
    # Files and folders.
    Rule("no-tables", _E, _FOLDERS, "a path that is audited holds tables"),
    Rule("unreadable", _E, _FOLDERS, "files and folders can be read"),
    Rule("symbolic-link", _W, _FOLDERS, "links in a folder are not followed, so not audited"),
    Rule(
        "special-file", _W, _FOLDERS, "a table, as any file of a results folder, is a regular file"
    ),
    Rule("misnamed-table", _W, _FOLDERS, "a table's file is named <ID>.txt"),
    Rule("hidden-file", _N, _FOLDERS, "names that begin with a dot are passed over"),
    Rule("foreign-file", _N, _FOLDERS, "what is no table is passed over"),
    # Bytes.
    Rule("empty-file", _E, _SECTION_1, "a table has a header and rows"),
    Rule("too-large", _E, _BYTES, "64 MiB, 1,000,000 lines and 1 MiB a line are no table"),
    Rule("byte-order-mark", _E, _BYTES, "no mark of an encoding before the header"),
    Rule("line-ends", _E, _BYTES, "every line ends in one newline and nothing else"),
    Rule("plain-ascii", _E, _BYTES, "printable ASCII, spaces and newlines only"),
    Rule("final-newline", _E, _BYTES, "the last line ends in a newline too"),
    Rule("header", _E, _SECTION_1, "line 1 has the 28 names in order"),
    Rule("field-count", _E, _SECTION_1, "every line has 28 fields between single spaces"),
    Rule("epoch-grid", _E, _SECTION_1, "epochs are 0.5, 1.0, 1.5, …"),
    Rule("metadata-line", _E, _SECTION_1, "metadata stands in line 2 only"),
    Rule("curve-text", _E, _BYTES, "losses and accuracies are written as Python's repr does"),
    Rule("metadata-text", _E, _BYTES, "metadata is written as the published tables write it"),
    Rule("strict-reading", _E, _BYTES, "a table that is written again gives its bytes back"),
    Rule("half-epochs", _E, _SECTION_2_2, "40 epochs, or the campaign's, are 2 rows each"),
    # The network.
    Rule("id", _E, _BYTES, "an ID is a date, a time and six digits"),
    Rule("seed-range", _E, _BYTES, "random_seed has 32 bits"),
    Rule("loss-and-optimizer", _E, _SECTION_2_2, "a loss and an optimizer that may be"),
    *(Rule(name, _E, source, says) for name, source, says in _own_rules()),
    Rule("family-rule", _E, _FAMILY, "what the code of a campaign's family says of its tables"),
    # The curve.
    Rule("accuracy-range", _E, _SECTION_1, "valAcc is a number from 0 to 100"),
    Rule("accuracy-step", _E, _BYTES, "valAcc is a whole count of the validated images"),
    Rule("loss-range", _E, _ARITHMETIC, "a loss is not negative, and fits into 32 bits"),
    Rule("loss-accuracy", _E, _ARITHMETIC, "each wrong prediction costs at least ln 2 of valLoss"),
    Rule("nan-stays", _W, _TORCH, "weights that are NaN stay so, and both losses with them"),
    Rule("nan-accuracy", _W, _TORCH, "a network whose weights are NaN predicts the same for ever"),
    Rule("non-finite", _N, _ARITHMETIC, "losses are finite"),
    Rule("first-loss", _N, _ARITHMETIC, "the first trainLoss is within 10 times ln(classes)"),
    Rule("never-learned", _N, _ARITHMETIC, "a network becomes better than chance"),
    # Many tables.
    Rule("id-file-name", _E, _SECTION_1, "a table's file is named after its ID"),
    Rule("dataset-folder", _E, _SECTION_1, "a folder <name>_models holds that dataset's tables"),
    Rule("unknown-dataset", _N, _SECTION_2_2, "sizes of the images are known, and rules on them"),
    Rule("duplicate-id", _E, _SECTION_1, "an ID names one network"),
    Rule("duplicate-table", _W, _SECTION_1, "a network has one table"),
    Rule("duplicate-seed", _W, _SAMPLER, "a dataset's networks have different seeds"),
    Rule("duplicate-network", _W, _SECTION_2_1, "networks that are drawn at random differ"),
    Rule("duplicate-curve", _W, _ARITHMETIC, "two networks don't have the same curve"),
    Rule("mixed-lengths", _W, _SECTION_2_2, "tables of a folder have the same number of rows"),
    Rule("mixed-determinism", _W, _SECTION_1, "a folder's torch_set_deterministic is the same"),
    Rule("mixed-devices", _N, _SECTION_1, "a folder's train_GPU is the same"),
    Rule("not-deterministic", _N, _SECTION_1, "torch_set_deterministic is True"),
    Rule("svhn-impossible", _W, _FIGURE_3, "one number of SVHN's images admits all batch sizes"),
    Rule("svhn-images", _N, _FIGURE_3, "batch sizes tell how many of SVHN's images were used"),
    Rule("slip-known", _N, _BYTES, "published validation losses are divided by a batch too many"),
    Rule(
        "slip-absent", _W, _BYTES, "published valLoss has the slip; else it must not be corrected"
    ),
    Rule("slip-ours", _E, _RESULTS, "nnlc's valLoss is the mean over the validated images"),
    Rule("slip-neither", _W, _BYTES, "valLoss is the mean, or divided by a batch too many"),
    # A results folder.
    Rule("campaign-file", _W, _RESULTS, "a results folder's campaign.toml can be read"),
    Rule("family-code", _N, _RESULTS, "the code of a campaign's family draws its networks again"),
    Rule("newer-journal", _W, _RESULTS, "a results folder's journal is of no newer nnlc"),
    Rule("mixed-arithmetic", _W, _RESULTS, "a campaign's tables come from one arithmetic"),
    Rule("seed-specification", _E, _SAMPLER, "a table's network is what its campaign draws"),
    Rule("beyond-campaign", _E, _RESULTS, "a table belongs to the campaign of its folder"),
    Rule("other-space", _W, _SAMPLER, "its seed gives this network in the article's space"),
    Rule("missing-table", _N, _RESULTS, "each network of a campaign has its table"),
    Rule("failed-network", _N, _RESULTS, "no network has failed"),
)

RULES = {rule.name: rule for rule in _ALL}
"""Rules by name."""
