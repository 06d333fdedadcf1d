# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Let ansible-core render compose, groups, keyed_groups and names for one host, before anything is in the inventory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible.errors import AnsibleParserError, AnsibleUndefinedVariable

from ansible_collections.phala.cloud.plugins.plugin_utils.interrupts import heeded_interrupts
from ansible_collections.phala.cloud.plugins.plugin_utils.settings import ConstructedSettings
from ansible_collections.phala.cloud.plugins.plugin_utils.trust import LeftOut, Marker, plain


@dataclass
class Recorder:
    """Stand in for the inventory while core's constructed features run, and keep what they ask for.

    Core adds hosts as it goes, so an error in a strict source would leave the earlier ones behind.
    """

    host: str
    variables: dict[str, Any] = field(default_factory=dict)
    groups: list[str] = field(default_factory=list)
    parents: list[tuple[str, str]] = field(default_factory=list)

    def set_variable(self, _host: str, name: str, value: Any) -> None:
        self.variables[name] = value

    def add_group(self, group: str) -> str:
        return plain(group)

    def add_host(self, _host: str, group: str) -> None:
        self.groups.append(plain(group))

    def add_child(self, group: str, child: str) -> None:
        if child is self.host:
            self.groups.append(plain(group))
        else:
            self.parents.append((plain(group), plain(child)))

    def all_groups(self) -> set[str]:
        """Return every group that was named, as a host's or as a parent."""
        return {*self.groups, *(group for family in self.parents for group in family)}


@heeded_interrupts()  # unless strict, core goes on with the next variable or group
def construct(
    plugin: Any, options: ConstructedSettings, host: str, variables: Mapping[str, Any], marker: Marker, left_out: LeftOut
) -> Recorder:
    """Return the variables, groups and parents of groups that the constructed options make of what the expressions see.

    :param left_out: is told each composed variable that cannot be published, and why
    :raises AnsibleError: by core, when ``strict`` is set and an expression fails
    """
    recorder = Recorder(host)
    inventory, plugin.inventory = plugin.inventory, recorder
    try:
        known = dict(variables)
        plugin._set_composite_vars(options.compose, known, host, strict=options.strict)
        # Two harmless texts joined by an expression can be a template, so each result is judged anew.
        recorder.variables = marker.mark_variables(recorder.variables, left_out)
        known.update(recorder.variables)
        plugin._add_host_to_composed_groups(options.groups, known, host, strict=options.strict, fetch_hostvars=False)
        plugin._add_host_to_keyed_groups(options.keyed_groups, known, host, strict=options.strict, fetch_hostvars=False)
    finally:
        plugin.inventory = inventory
    return recorder


def meets_condition(plugin: Any, condition: str, variables: Mapping[str, Any]) -> bool:
    """Decide one of host_filters for a host.

    :raises AnsibleParserError: when it fails or its result is no boolean
    """
    try:
        if not hasattr(plugin.templar, "evaluate_expression"):
            # Before 2.19 a result comes out as text, so its type must be asked for inside the template.
            is_boolean = plugin._compose(f"({condition}) is boolean", variables)
        result = plugin._compose(condition, variables)
    except AnsibleUndefinedVariable as error:
        hint = f"{error}; write variables with their hostvars_prefix, such as 'phala_status'"
        raise _failure("host_filters", condition, hint) from None
    except Exception as error:  # before 2.19 an expression raises whatever Python raises in it
        raise _failure("host_filters", condition, error) from None
    if hasattr(plugin.templar, "evaluate_expression"):
        is_boolean = isinstance(result, bool)
    if not is_boolean:
        raise AnsibleParserError(
            f"host_filters: {condition!r} gave {result!r}, neither true nor false: write a comparison, such as"
            " 'phala_is_dev is true' or '(phala_vcpu or 0) >= 4'"
        )
    return bool(result)


def render_name(plugin: Any, template: str, variables: Mapping[str, Any], *, strict: bool) -> str:
    """Render one of hostnames for a host; nothing where a variable in it is undefined.

    :raises AnsibleParserError: when it fails, or is undefined and ``strict``
    """
    plugin.templar.available_variables = variables
    try:
        text = str(plugin.templar.template(template))
    except AnsibleUndefinedVariable as error:
        if strict:
            raise _failure("hostnames", template, error) from None
        return ""
    except Exception as error:  # as above
        raise _failure("hostnames", template, error) from None
    return "" if text == "None" else text  # what a null alone comes out as, on some versions as text already


def _failure(option: str, expression: str, error: Exception | str) -> AnsibleParserError:
    """Return an error that must be raised without its cause: core shows the cause with lines of the file, maybe the key's."""
    return AnsibleParserError(f"{option}: {str(expression)!r} failed: {error}")
