"""Origins of exported tables: article, campaigns and devices; licence and citation."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

from nnlc.campaign.campaign import Campaign
from nnlc.collection.journals import reason_to_skip
from nnlc.collection.sources import Source, parent_collection
from nnlc.errors import CampaignError, NnlcError, ResultsError
from nnlc.networks.image_sets import ImageSet
from nnlc.networks.specification import Specification
from nnlc.results.campaign_file import read_campaign_file
from nnlc.results.history import Finish, read_history
from nnlc.results.makers import makers
from nnlc.results.mixture import mixture_of
from nnlc.tables.campaign_files import CampaignFiles
from nnlc.tables.folder_names import JOURNAL
from nnlc.wording import counted

DATASET_URL = "https://doi.org/10.7910/DVN/ZXTCGF"
ARTICLE_URL = "https://pubmed.ncbi.nlm.nih.gov/35036484"
ARTICLE_LICENSE = "https://creativecommons.org/licenses/by/4.0/"
ARTICLE_AUTHORS = (
    "Ariel Keller Rorabaugh",
    "Silvina Caíno-Lores",
    "Travis Johnston",
    "Michela Taufer",
)
ARTICLE_TITLE = (
    "High frequency accuracy and loss data of random neural networks trained on image datasets"
)
ARTICLE_DATE = "2022-01-05"
"""Day on which the article appeared online."""
ARTICLE_CITATION = (
    "@misc{kellerrorabaugh2022, author = {" + " and ".join(ARTICLE_AUTHORS) + "}, "
    f"title = {{{ARTICLE_TITLE}}}, year = {{2022}}, howpublished = {{Data article, Elsevier}}, "
    f"note = {{PubMed 35036484; tables: doi:10.7910/DVN/ZXTCGF}}, url = {{{DATASET_URL}}}}}"
)
TERMS = (
    "The data article is open access under CC BY 4.0. It names no licence for the tables "
    "themselves; their terms are on the page of the dataset."
)
_SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")
_URL = re.compile(r"https?://[!-~]+")
_TOLD = {"pixels", "pooling", "dropout", "truncate", "convolutions", "optimizer", "betas", "eps"}
"""Settings of the article's networks that are told anyway, or that tables tell."""
_VERSION = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """Information for publishing an export, which only the user can give.

    Raises:
        NnlcError: a value is invalid.
    """

    title: str = ""
    creators: tuple[str, ...] = ()
    license: str = ""
    """SPDX identifier, such as CC-BY-4.0, or URL of the licence."""
    url: str = ""
    """Page where the export is, or will be."""
    published: str = ""
    """Day of publication, such as 2026-01-31."""
    version: str = "1.0.0"

    def __post_init__(self) -> None:
        for name in ("title", "creators"):
            value = getattr(self, name)
            for text in [value] if isinstance(value, str) else value:
                if not text.isprintable():
                    raise NnlcError(f"{name} {text!r}: has characters that can't be printed")
                if text.isspace() or (name == "creators" and not text):
                    raise NnlcError(f"{name} {text!r}: is empty; give a value, or leave it out")
        if self.license and not (_SPDX.fullmatch(self.license) or _URL.fullmatch(self.license)):
            raise NnlcError(
                f"license {self.license!r}: is neither an SPDX identifier, such as CC-BY-4.0, nor "
                "a URL"
            )
        if self.url and not _URL.fullmatch(self.url):
            raise NnlcError(f"url {self.url!r}: is no URL, such as https://doi.org/10.1234/56")
        if self.published and not _is_day(self.published):
            raise NnlcError(f"published {self.published!r}: is no date, such as 2026-01-31")
        if not _VERSION.fullmatch(self.version):
            raise NnlcError(f"version {self.version!r}: is not of the form 1.0.0")

    @property
    def license_url(self) -> str:
        """Licence as a URL; empty without a licence."""
        is_name = self.license and not _URL.fullmatch(self.license)
        return f"https://spdx.org/licenses/{self.license}.html" if is_name else self.license


def _is_day(text: str) -> bool:
    with suppress(ValueError):
        return date.fromisoformat(text).isoformat() == text
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Origins:
    """Origins of tables, from campaign files and journals beside them."""

    tables: int
    published: int
    """Number of the article's tables."""
    campaigns: tuple[tuple[str, str], ...]
    """Campaigns of the tables: name and settings as text."""
    makers: tuple[tuple[str, int], ...]
    """Devices with software versions, and the number of tables that each made."""
    mixed: tuple[str, ...]
    """Lines on campaigns whose tables come from several arithmetics."""
    recorded: int
    """Number of tables with an event "finish" in a journal."""
    train_seconds: float
    """Seconds of training of these tables, from their journals."""

    @property
    def own(self) -> int:
        """Number of tables that nnlc wrote."""
        return self.tables - self.published

    @property
    def citation(self) -> str:
        """Text for citing the tables."""
        own = " and ".join(words for words, _ in self.campaigns) or "an unknown campaign"
        parts = [f"{counted(self.own, 'table')} of {own}, made with nnlc"] if self.own else []
        return "\n".join([*parts, *([ARTICLE_CITATION] if self.published else [])])


def origins_of(sources: Sequence[Source], paths: Sequence[Path], published: int) -> Origins:
    """Return the origins of tables, from results folders and collections in the given paths.

    Args:
        sources: the tables.
        paths: paths that the user gave; nothing outside of them is read.
        published: number of the article's tables.
    """
    files = CampaignFiles()
    by_folder: defaultdict[Path, list[Source]] = defaultdict(list)
    of_campaign: defaultdict[Path, list[Source]] = defaultdict(list)
    for one in sources:
        if folder := parent_collection(one.path.parent, paths):
            by_folder[folder].append(one)
            if file := files.of(one.path):
                of_campaign[file].append(one)
    finishes: dict[str, Finish] = {}
    for folder, tables in sorted(by_folder.items()):
        if reason_to_skip(folder / JOURNAL) is None:
            finishes |= _finishes(tables, folder)
    read = ((_campaign_in(file), of_file) for file, of_file in sorted(of_campaign.items()))
    campaigns = [(campaign, of_file) for campaign, of_file in read if campaign]
    return Origins(
        tables=len(sources),
        published=published,
        campaigns=tuple(sorted({_in_words(campaign) for campaign, _ in campaigns})),
        makers=tuple(makers(finishes.values())),
        mixed=tuple(_mixed(campaigns, finishes)),
        recorded=len(finishes),
        train_seconds=sum(finish.seconds or 0 for finish in finishes.values()),
    )


def _finishes(sources: Iterable[Source], folder: Path) -> Iterator[tuple[str, Finish]]:
    """Yield the ID and finish of each table of a results folder that its journal lists."""
    finishes = read_history(folder / JOURNAL).finishes
    for one in sources:
        finish = finishes.get(one.id)
        if finish and finish.sha256 in (None, one.sha256):
            yield one.id, finish


class _Trained(NamedTuple):
    """Network of a table."""

    spec: Specification
    images: ImageSet


def _networks(campaign: Campaign, sources: Iterable[Source]) -> Iterator[_Trained]:
    """Yield the networks of tables of an own family, whose code may not be here."""
    images = {one.table_name: one for one in campaign.image_sets().values()}
    for one in sources:
        if one.dataset in images:
            yield _Trained(one.spec, images[one.dataset])


def _mixed(
    campaigns: Iterable[tuple[Campaign, list[Source]]], finishes: Mapping[str, Finish]
) -> Iterator[str]:
    """Yield a line for each campaign with several arithmetics, in one results folder or several."""
    together: dict[tuple[object, ...], tuple[Campaign, dict[str, Source]]] = {}
    for campaign, sources in campaigns:
        key = campaign.name, campaign.seed, campaign.stamp
        known = {one.id: one for one in sources if one.id in finishes}
        together.setdefault(key, (campaign, {}))[1].update(known)
    for campaign, tables in together.values():
        own = campaign.family is not None
        networks = _networks(campaign, tables.values()) if own else campaign.networks()
        mixture = mixture_of(networks, campaign.training, finishes, tables)
        if mixture.is_mixed:
            yield f'campaign "{campaign.name}": {mixture.words}'


def _campaign_in(file: Path) -> Campaign | None:
    if not file.is_symlink():
        with suppress(ResultsError, CampaignError):
            return read_campaign_file(file).campaign
    return None


def _in_words(campaign: Campaign) -> tuple[str, str]:
    name = f'the campaign "{campaign.name}" (seed {campaign.seed}, stamp {campaign.stamp})'
    stop = f", networks ended early by {campaign.stop}" if campaign.stop else ""
    return name, f"{campaign.epochs} epochs; {_settings(campaign)}{stop}"


def _settings(campaign: Campaign) -> str:
    training, family = campaign.training, campaign.family
    untold = _TOLD if family is None else set()
    others = training.model_dump(mode="json", exclude_defaults=True, exclude=untold)
    words = [
        f"{name} {' '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in others.items()
    ]
    if family is not None:
        return ", ".join([f"family {family.label or family.name}", *words])
    first = (
        f"pixels {training.pixels}, {training.pooling} pooling, "
        f"dropout of the {training.dropout}, truncation of the {training.truncate}, "
        f"convolutions {training.convolutions}"
    )
    return ", ".join([first, *words])
