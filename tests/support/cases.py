"""The cases of layers, registries and running containers by id, and where a test says which it stands
for.

A case is a rule that some tool got wrong once: an archive, a document, an answer or an attack, and
what must come of it. A test names its cases in the id of its row (`[WH-01]`, `[D06-total]`) or at
the beginning of its docstring (`WH-18, WH-20: no directory …`), which `conftest` puts into the
test's name as well. So `pytest -k cases` runs them all, `-k layer_cases`, `-k registry_cases` and
`-k runtime_cases` those of one kind, and `-k WH-01` one.
"""

from __future__ import annotations

import re

LAYERS = (
    "WH-01", "WH-04", "WH-06", "WH-08", "WH-09", "WH-10", "WH-11", "WH-12", "WH-13", "WH-14",
    "WH-15", "WH-16", "WH-17", "WH-18", "WH-19", "WH-20", "WH-21", "WH-23", "WH-24", "WH-26",
    "WH-27", "WH-28", "WH-29", "WH-30", "WH-31", "WH-32", "WH-33", "WH-35", "WH-36", "WH-37",
    "WH-39",
    "TY-01", "TY-03", "TY-05", "TY-06", "TY-07", "TY-08", "TY-10", "TY-11", "TY-12",
    "SL-02", "SL-03", "SL-06", "SL-07", "SL-10", "SL-11", "SL-12", "SL-13", "SL-15", "SL-16",
    "SL-17",
    "NM-03", "NM-04", "NM-05", "NM-06", "NM-10", "NM-11", "NM-12", "NM-13",
    "HL-01", "HL-02", "HL-03", "HL-06", "HL-07", "HL-08", "HL-09", "HL-10", "HL-11", "HL-12",
    "HL-15", "HL-16", "HL-17", "HL-19", "HL-20", "HL-21",
    "MD-01", "MD-02", "MD-04", "MD-06", "MD-07", "MD-08", "MD-10", "MD-13", "MD-15", "MD-18",
    "MD-19", "MD-20", "MD-22", "MD-23", "MD-24", "MD-25",
    "DV-02", "DV-03", "DV-04", "DV-06", "DV-07", "DV-08", "DV-09", "DV-10", "DV-11",
    "XA-01", "XA-04", "XA-05", "XA-06", "XA-07", "XA-09", "XA-10", "XA-11", "XA-12", "XA-13",
    "XA-14", "XA-15", "XA-17",
    "TF-01", "TF-05", "TF-06", "TF-07", "TF-10", "TF-11", "TF-12", "TF-13", "TF-14", "TF-15",
    "TF-16", "TF-17", "TF-18", "TF-19", "TF-20", "TF-22", "TF-23", "TF-24", "TF-27", "TF-28",
    "TF-29", "TF-30", "TF-31", "TF-32", "TF-33", "TF-34", "TF-35", "TF-36", "TF-37", "TF-38",
    "TF-40", "TF-41", "TF-42", "TF-43",
    "TE-01", "TE-02", "TE-03", "TE-04", "TE-05", "TE-06", "TE-07", "TE-08", "TE-09", "TE-10",
    "TE-11", "TE-12", "TE-13", "TE-14", "TE-15",
    "CZ-02", "CZ-03", "CZ-04", "CZ-05", "CZ-06", "CZ-07", "CZ-08", "CZ-11", "CZ-12", "CZ-13",
    "CZ-14", "CZ-15", "CZ-16", "CZ-17", "CZ-18", "CZ-19", "CZ-20", "CZ-21", "CZ-22",
    "DG-01", "DG-02", "DG-03", "DG-05", "DG-06", "DG-08", "DG-09", "DG-10", "DG-11", "DG-15",
    "DG-17", "DG-19", "DG-20", "DG-21", "DG-22", "DG-25", "DG-26", "DG-27", "DG-28",
    "DF-01", "DF-03", "DF-05", "DF-06", "DF-10", "DF-12", "DF-13", "DF-14", "DF-16", "DF-17",
    "DF-18", "DF-19", "DF-20", "DF-22", "DF-23", "DF-24", "DF-25", "DF-26", "DF-30", "DF-31",
    "DF-32", "DF-35", "DF-36", "DF-37", "DF-39", "DF-40", "DF-41", "DF-42",
    "EX-03", "EX-04", "EX-05", "EX-06", "EX-07", "EX-09", "EX-10", "EX-12", "EX-13", "EX-15",
    "EX-20", "EX-21", "EX-22", "EX-23", "EX-25", "EX-26", "EX-27", "EX-28",
    "OV-01", "OV-02", "OV-03", "OV-04", "OV-06", "OV-07", "OV-08", "OV-09", "OV-11", "OV-13",
    "OV-14", "OV-15", "OV-16", "OV-17", "OV-18", "OV-20", "OV-21", "OV-22", "OV-24", "OV-25",
    "OV-26", "OV-28", "OV-31", "OV-32", "OV-34", "OV-35", "OV-36", "OV-37", "OV-38",
    "SN-01", "SN-02", "SN-05", "SN-06", "SN-11", "SN-13", "SN-14", "SN-15", "SN-16",
    "SN-17", "SN-18", "SN-19", "SN-20",
    "SE-02", "SE-03", "SE-04", "SE-05", "SE-06", "SE-08", "SE-09", "SE-10", "SE-11", "SE-12",
    "SE-14", "SE-16", "SE-17", "SE-18", "SE-19", "SE-20", "SE-21", "SE-24", "SE-25", "SE-26",
    "SE-29", "SE-33", "SE-36", "SE-37", "SE-38", "SE-39",
    "SE-40", "SE-41", "SE-42", "SE-43", "SE-45", "SE-46", "SE-48", "SE-49", "SE-53", "SE-55", "SE-56",
    "SE-57", "SE-58", "SE-59",
    "PY-01", "PY-02", "PY-03", "PY-04", "PY-05", "PY-06", "PY-07", "PY-08", "PY-09", "PY-10",
    "PY-11", "PY-12", "PY-13", "PY-14", "PY-15",
)  # fmt: skip
"""Every case of layers; a gap in the numbers means nothing."""

REGISTRIES = (
    "R01", "R02", "R03", "R05", "R07",
    "C01", "C02", "C03", "C04", "C07", "C10", "C11", "C13",
    "A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A09", "A12", "A14", "A15", "A17", "A18",
    "M01", "M02", "M05", "M06", "M07", "M09", "M11", "M12", "M13", "M15",
    "D01", "D02", "D03", "D04", "D06", "D08", "D09", "D11", "D12", "D13", "D14", "D15", "D16", "D18",
    "D19", "D20", "D21", "D22", "D24", "D27", "D29", "D31", "D32", "D34",
    "K01", "K02", "K03", "K04", "K05", "K07", "K09", "K10", "K12", "K13", "K18",
    "T01", "T02", "T03", "T06", "T07", "T09", "T10", "T12", "T13", "T16",
    "L01", "L02", "L04", "L05", "L07",
    "P01", "P02", "P03", "P05", "P06", "P08", "P09",
    "X01", "X02", "X04",
    "S01", "S03",
)  # fmt: skip
"""Every case of registries: references, credentials, manifests, downloads, pushes."""

RUNTIME = (
    "RT-N01", "RT-N02", "RT-N04", "RT-N06", "RT-N08",
    "RT-F01", "RT-F02", "RT-F04", "RT-F05", "RT-F07", "RT-F08", "RT-F10", "RT-F12", "RT-F14",
    "RT-F15",
    "RT-P01", "RT-P02", "RT-P03", "RT-P05", "RT-P07", "RT-P09", "RT-P11", "RT-P12", "RT-P14",
    "RT-P16", "RT-P17", "RT-P19",
    "RT-R01", "RT-R02", "RT-R04", "RT-R06", "RT-R08",
    "RT-T01", "RT-T02", "RT-T03", "RT-T04", "RT-T07", "RT-T09", "RT-T11", "RT-T13",
    "RT-L01", "RT-L02", "RT-L04", "RT-L05", "RT-L07", "RT-L09", "RT-L11", "RT-L13",
    "RT-W01", "RT-W02", "RT-W03", "RT-W05", "RT-W07", "RT-W09", "RT-W10", "RT-W12", "RT-W14",
    "RT-S03",
)  # fmt: skip
"""Every case of running containers; their letters are those of registries, hence the prefix."""

KNOWN = (*LAYERS, *REGISTRIES, *RUNTIME)

_LAYER = r"(?:WH|TY|SL|NM|HL|MD|DV|XA|TF|TE|CZ|DG|DF|EX|OV|SN|SE|PY)-[0-9]{2}"
_REGISTRY = r"[RCAMDKTLPXS][0-9]{2}"
_RUNTIME = r"RT-[NFPRTLWS][0-9]{2}"
_NAMED = re.compile(rf"(?<![A-Za-z0-9])(?:{_RUNTIME}|{_LAYER}|{_REGISTRY})(?![A-Za-z0-9])")
_ID = r"(?:[A-Z]+-)?[A-Z]*[0-9]+"
_BEGINNING = re.compile(rf"(?:{_ID}, )*{_ID}: ")


def named(text: str) -> list[str]:
    """The cases in a test's name."""
    return _NAMED.findall(text)


def of_docstring(text: str) -> list[str]:
    """The cases that a docstring begins with."""
    beginning = _BEGINNING.match(text)
    return named(beginning[0]) if beginning else []


def _kind(case: str) -> str:
    if "-" in case:
        return "layer_cases"
    return "runtime_cases" if case in RUNTIME else "registry_cases"


def keywords(text: str) -> set[str]:
    """By which words `-k` finds a test of this name."""
    kinds = {_kind(case) for case in named(text)}
    return kinds | ({"cases"} if kinds else set())


def _kind(case: str) -> str:
    if case.startswith("RT-"):
        return "runtime_cases"
    return "layer_cases" if "-" in case else "registry_cases"
