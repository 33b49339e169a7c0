"""`croissant.json`: description of an export for programs, in the vocabulary of Croissant 1.0.

Source: the Croissant Format Specification, version 1.0, http://mlcommons.org/croissant/1.0: its
JSON-LD context (appendix 1), `sc:Dataset`, `cr:FileObject`, `cr:RecordSet`, `cr:Field`.
"""

import json
from collections.abc import Mapping
from typing import Any

from nnlc.errors import NnlcError
from nnlc.exporting.contents import Contents
from nnlc.exporting.manifest import DATASHEET, RECORDS, FileEntry, Format
from nnlc.exporting.origins import (
    ARTICLE_AUTHORS,
    ARTICLE_DATE,
    ARTICLE_LICENSE,
    ARTICLE_TITLE,
    DATASET_URL,
    TERMS,
    Origins,
    Publication,
)
from nnlc.exporting.schema import CURVES, Part
from nnlc.families.layouts import ARTICLE_NAME
from nnlc.networks.columns import Kind
from nnlc.wording import counted

_KEYS = (
    "@language @vocab citeAs column conformsTo cr rai data dataType dct equivalentProperty "
    "examples extract field fileProperty fileObject fileSet format includes isLiveDataset "
    "jsonPath key md5 parentField path recordSet references regex repeated replace "
    "samplingRate sc separator source subField transform"
)
_OTHERS: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "sc": "https://schema.org/",
}
_CONTEXT = {key: _OTHERS.get(key, f"cr:{key}") for key in _KEYS.split()}
"""JSON-LD context; all keys but `_OTHERS` belong to Croissant's own vocabulary."""
_TYPES: dict[Kind, str] = {
    "text": "sc:Text",
    "integer": "sc:Integer",
    "flag": "sc:Boolean",
    "number": "sc:Float",
    "integers": "sc:Integer",
}
_MEDIA_TYPES: dict[Format, str] = {
    "parquet": "application/x-parquet",
    "csv": "text/csv",
}


def describe(
    contents: Contents,
    origins: Origins,
    publication: Publication,
    format: Format,
    files: Mapping[str, FileEntry],
) -> bytes:
    """Return the content of the file; the same tables give the same bytes, since no clock is read.

    Args:
        contents: contents of the export.
        origins: origins of the tables.
        publication: information that the user gave for publishing.
        format: format of the export.
        files: files with the records, by name.
    """
    name = dataset_name(contents, origins, publication)
    values: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": name,
        "description": _description(contents, origins),
        "license": _licenses(origins, publication),
        "url": publication.url or (DATASET_URL if not origins.own else DATASHEET),
        "creator": [{"@type": "sc:Person", "name": one} for one in _creators(origins, publication)],
        "datePublished": publication.published or ("" if origins.own else ARTICLE_DATE),
        "version": publication.version,
        "citeAs": origins.citation,
        "keywords": ["learning curves", "neural networks", "neural architecture search"],
        "isLiveDataset": False,
        "sameAs": "" if origins.own else DATASET_URL,
        "distribution": [_file_object(format, *item) for item in sorted(files.items())],
        "recordSet": [
            _record_set(format, "networks", contents.schema.networks, ["id"]),
            _record_set(format, "curves", CURVES, ["id", "half_epoch"]),
        ],
    }
    known = {key: value for key, value in values.items() if value not in ("", [])}
    return (json.dumps(known, indent=1, ensure_ascii=False) + "\n").encode()


def dataset_name(contents: Contents, origins: Origins, publication: Publication) -> str:
    """Return the title of an export."""
    kind = "random convolutional" if contents.families == [ARTICLE_NAME] else "neural"
    return publication.title or (
        f"Learning curves of {kind} networks" if origins.own else ARTICLE_TITLE
    )


def kind_of_networks(contents: Contents) -> str:
    """Return words for the networks of an export, with their families if there are others."""
    if contents.families == [ARTICLE_NAME]:
        return "Convolutional networks with random parameters"
    families = counted(len(contents.families), "family", "families")
    return f"Neural networks of {families} ({', '.join(contents.families)})"


def _description(contents: Contents, origins: Origins) -> str:
    datasets = ", ".join(sorted(set(contents.networks["dataset"])))
    words = (
        f"{kind_of_networks(contents)} ({len(contents)}), each trained on images "
        f"({datasets}) half epoch by half epoch: specifications, and the training loss, validation "
        f"loss and validation accuracy after each of {contents.layout.rows} half epochs."
    )
    if origins.published:
        words += (
            f" From the data article's dataset ({DATASET_URL}): {origins.published} tables; their "
            "val_loss is as published, too small by the factor ⌊N/b⌋/⌈N/b⌉ for N validation "
            "images in batches of b."
        )
    return words + "".join(f" Note: {mixed}." for mixed in origins.mixed)


def _licenses(origins: Origins, publication: Publication) -> list[Any]:
    found: list[Any] = [publication.license_url] if publication.license else []
    if origins.published:
        found.append(
            {
                "@type": "sc:CreativeWork",
                "name": f"Terms of {DATASET_URL}",
                "description": f"{TERMS} ({ARTICLE_LICENSE})",
                "url": DATASET_URL,
            }
        )
    return found


def _creators(origins: Origins, publication: Publication) -> list[str]:
    authors = ARTICLE_AUTHORS if origins.published else ()
    return [*publication.creators, *(one for one in authors if one not in publication.creators)]


def check_publication(origins: Origins, publication: Publication) -> None:
    """Check that licence and creators are given only if nnlc wrote some of the tables.

    Raises:
        NnlcError: a licence or a creator is given, but all tables are the article's.
    """
    for name in ("license", "creators"):
        if getattr(publication, name) and not origins.own:
            raise NnlcError(
                f"{name}: applies to tables that nnlc wrote, but all of these are the article's; "
                "leave it out"
            )


def missing(origins: Origins, publication: Publication) -> list[str]:
    """Return the names of the arguments that Croissant requires and the user has not given."""
    required = ("license", "creators", "url", "published") if origins.own else ()
    return [name for name in required if not getattr(publication, name)]


def _file_object(format: Format, name: str, facts: FileEntry) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{facts.bytes} B",
        "encodingFormat": _MEDIA_TYPES[format],
        "sha256": facts.sha256,
    }


def _record_set(
    format: Format, name: str, parts: tuple[Part, ...], key: list[str]
) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "key": [{"@id": f"{name}/{one}"} for one in key],
        "field": [_field(format, name, part) for part in parts],
    }


def _field(format: Format, records: str, part: Part) -> dict[str, Any]:
    file = RECORDS[format][records == "curves"]
    is_list = part.kind == "integers"
    words = part.description + (f" Unit: {part.unit}." if part.unit else "")
    if is_list and format == "csv":
        words += " Whole numbers joined by hyphens."
    found: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{records}/{part.name}",
        "name": part.name,
        "description": words,
        # Readers of CSV, such as pandas, may take a list with one entry for a number.
        "dataType": "sc:Text" if is_list and format == "csv" else _TYPES[part.kind],
        "source": {"fileObject": {"@id": file}, "extract": {"column": part.name}},
    }
    if is_list and format != "csv":
        found["repeated"] = True
    if records == "curves" and part.name == "id":
        found["references"] = {"field": {"@id": "networks/id"}}
    return found
