# Copyright: (c) 2026, the humanz.cni maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A boolean or a number of a role may be text, as from -e or an INI file; the text ``false`` is true in a template.

So where a role or a playbook uses one, it is either all of a module's option of that type, which converts it, or it
goes through a filter.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted([*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("roles/*/defaults/*.yml"), *ROOT.glob("playbooks/*.yml")])
FILTERS = {"bool": r"\|\s*bool\b", "int": r"\|\s*int\b", "float": r"\|\s*float\b"}


def typed() -> dict[str, str]:
    """The type of each variable that a role has as boolean or number."""
    specs = [yaml.safe_load(path.read_text()) for path in ROOT.glob("roles/*/meta/argument_specs.yml")]
    options = [entry.get("options", {}) for spec in specs for entry in spec["argument_specs"].values()]
    return {name: one["type"] for several in options for name, one in several.items() if one["type"] in FILTERS}


TYPED = typed()


def module_types(module: str) -> dict[str, str]:
    """The documented type of each of a module's options."""
    text = importlib.import_module(f"ansible_collections.humanz.cni.plugins.modules.{module}").DOCUMENTATION
    return {name: option["type"] for name, option in yaml.safe_load(text)["options"].items()}


def templates(found: Any, types: dict[str, str], place: str = "") -> Iterator[tuple[str, str, str | None]]:
    """Find each text, with the key that has it and, if that is a module's option, its type."""
    if isinstance(found, dict):
        for key, value in found.items():
            if isinstance(value, str):
                yield str(key), value, types.get(str(key))
            else:
                module = re.fullmatch(r"humanz\.cni\.(\w+)", str(key))
                yield from templates(value, module_types(module.group(1)) if module else {}, str(key))
    elif isinstance(found, list):
        for value in found:
            yield from [(place, value, None)] if isinstance(value, str) else templates(value, {}, place)


def bare(place: str, text: str, option: str | None) -> list[str]:
    """Return the variables that a template takes as they come."""
    whole = re.fullmatch(r"\{\{ (\w+)(?: \| default\(omit\))? \}\}", text.strip())
    if whole and (option == TYPED.get(whole.group(1)) or place in TYPED):
        return []
    if place not in ("when", "that", "failed_when", "changed_when", "until"):
        text = " ".join(re.findall(r"\{[{%](.*?)[%}]\}", text, re.DOTALL))
    text = re.sub(r"'[^']*'", "''", text)
    used = re.finditer(r"\b(%s)\b(?!\s*(is|:))" % "|".join(TYPED), text)
    return [
        match.group(1)
        for match in used
        if not re.match(r"\s*" + FILTERS[TYPED[match.group(1)]], text[match.end(1) :])
        # A default in place of another variable of the same type.
        and not (place in TYPED and re.match(r"\s*(\)|\|\s*default\()", text[match.end(1) :]))
    ]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_boolean_and_no_number_is_used_as_it_comes(path: Path) -> None:
    found = templates(yaml.safe_load(path.read_text()), {})
    assert [(place, name) for place, text, option in found for name in bare(place, text, option)] == []


@pytest.mark.parametrize(
    ("place", "text", "option", "found"),
    [
        ("state", "{{ 'present' if pod_network_persistence else 'absent' }}", "str", ["pod_network_persistence"]),
        ("state", "{{ 'present' if pod_network_persistence | bool else 'absent' }}", "str", []),
        ("when", "pod_network_heal_interval > 0", None, ["pod_network_heal_interval"]),
        ("masquerade", "{{ pod_network_masquerade }}", "bool", []),
        ("masquerade", "{{ pod_network_masquerade }}", "str", ["pod_network_masquerade"]),
    ],
)
def test_it_would_be_seen(place: str, text: str, option: str | None, found: list[str]) -> None:
    assert bare(place, text, option) == found
