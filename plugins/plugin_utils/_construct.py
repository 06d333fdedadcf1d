# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Evaluate the user's expressions for one host by ansible-core, before anything is in the inventory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from ansible.errors import AnsibleParserError, AnsibleUndefinedVariable
from ansible.template import Templar
from jinja2 import Environment, TemplateSyntaxError

from ansible_collections.phala.cloud.plugins.plugin_utils._interrupts import reraise_swallowed_interrupt
from ansible_collections.phala.cloud.plugins.plugin_utils._plain_text import plain
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import ConstructedSettings
from ansible_collections.phala.cloud.plugins.plugin_utils._trust import Marker

HAS_TYPES = hasattr(Templar, "evaluate_expression")  # since 2.19

_JSON = "json:"  # what follows is JSON, which core then makes no other value of


@dataclass
class Recorder:
    """Stand in for the inventory while core's constructed features run, and keep what they add to a host.

    ``left_out`` has the reason for each composed variable that cannot be published.

    Core adds hosts as it goes, so an error in a strict source would leave the earlier ones behind.
    """

    host: str
    variables: dict[str, Any] = field(default_factory=dict)
    groups: list[str] = field(default_factory=list)
    parents: list[tuple[str, str]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

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

    def rename_groups(self, free: Callable[[str], str], free_parent: Callable[[str], str]) -> None:
        """Give the groups the names that they may have; the functions return those of groups and of parents of groups."""
        self.groups = [free(group) for group in self.groups]
        self.parents = [(free_parent(parent), free(group)) for parent, group in self.parents]

    def all_groups(self) -> set[str]:
        """Return every group that was named, as a host's or as a parent."""
        return {*self.groups, *(group for family in self.parents for group in family)}


class Expressions:
    """The expressions and templates of one source, which Ansible's plugin object evaluates."""

    def __init__(self, plugin: Any, constructed: ConstructedSettings) -> None:
        self._plugin = plugin
        self._constructed = constructed

    @property
    def are_constructed(self) -> bool:
        """Whether there is anything to construct."""
        options = self._constructed
        return bool(options.compose or options.groups or options.keyed_groups)

    @reraise_swallowed_interrupt()  # unless strict, core goes on with the next variable or group
    def construct(self, host: str, variables: Mapping[str, Any], marker: Marker) -> Recorder:
        """Return the variables, groups and parents of groups that compose, groups and keyed_groups give a host.

        :param variables: what the expressions see
        :raises AnsibleError: by core, when ``strict`` is set and an expression fails
        """
        options, plugin = self._constructed, self._plugin
        recorder = Recorder(host)
        known = dict(variables)
        with self._recorded_by(recorder), seeing(plugin.templar, known), _evaluating(plugin, _typed):
            plugin._set_composite_vars(options.compose, known, host, strict=options.strict)
            # Two harmless texts joined by an expression can be a template, so each result is marked anew.
            recorder.variables, recorder.left_out = marker.mark_variables(recorder.variables)
            known.update(recorder.variables)
            plugin._add_host_to_composed_groups(options.groups, known, host, strict=options.strict, fetch_hostvars=False)
        with self._recorded_by(recorder), seeing(plugin.templar, known), _evaluating(plugin, _group_key):
            plugin._add_host_to_keyed_groups(options.keyed_groups, known, host, strict=options.strict, fetch_hostvars=False)
        return recorder

    def is_met(self, condition: str, variables: Mapping[str, Any]) -> bool:
        """Decide one of host_filters for a host.

        :raises AnsibleParserError: when it fails or its result is not a boolean
        """
        plugin = self._plugin
        try:
            with seeing(plugin.templar, variables):
                if not HAS_TYPES:
                    # Before 2.19 a result is returned as text, so its type must be queried inside the template.
                    is_boolean = plugin._compose(f"({condition}) is boolean", variables)
                result = plugin._compose(condition, variables)
        except AnsibleUndefinedVariable as error:
            hint = f"{error}; write variables with their hostvars_prefix, such as 'phala_status'"
            raise _failure("host_filters", condition, hint) from None
        except Exception as error:  # before 2.19 an expression raises whatever Python raises in it
            raise _failure("host_filters", condition, error) from None
        if HAS_TYPES:
            is_boolean = isinstance(result, bool)
        if not is_boolean:
            raise AnsibleParserError(
                f"host_filters: {condition!r} gave {result!r}, neither true nor false: write a comparison, such as"
                " 'phala_is_dev is true' or '(phala_vcpu or 0) >= 4'"
            )
        return bool(result)

    def name(self, template: str, variables: Mapping[str, Any]) -> str:
        """Render one of hostnames for a host, to nothing where it fails for that host, such as for a null.

        :param variables: take precedence over extra variables
        :raises AnsibleParserError: when it does not parse, or fails and ``strict`` is set
        """
        templar = self._plugin.templar
        try:
            with seeing(templar, {**self._plugin._vars, **variables}):
                text = str(templar.template(template)).strip()  # a block scalar ends in a line break
        except Exception as error:  # as above
            if self._constructed.strict or not _parses(template):
                raise _failure("hostnames", template, error) from None
            return ""
        return "" if text == "None" else text  # some versions render a null alone as this text

    @contextmanager
    def _recorded_by(self, recorder: Recorder) -> Iterator[None]:
        inventory, self._plugin.inventory = self._plugin.inventory, recorder
        try:
            yield
        finally:
            self._plugin.inventory = inventory


@contextmanager
def _evaluating(plugin: Any, evaluate: Callable[[Callable[..., Any], str, Any], Any]) -> Iterator[None]:
    """Have the plugin's expressions evaluated by a function of core's own evaluation, the expression and the variables."""
    core = plugin._compose
    plugin._compose = lambda expression, variables, *_rest, **_options: evaluate(core, expression, variables)
    try:
        yield
    finally:
        plugin._compose = core


def _typed(core: Callable[..., Any], expression: str, variables: Any) -> Any:
    """Return the value of an expression with the type that it has in the expression.

    Before 2.19 core returns text, of which it then makes a boolean, a list or the like, such as of an app's name ``True``.
    """
    if HAS_TYPES:
        return core(expression, variables)
    text = core(f"{_JSON!r} ~ (({expression}) | to_json)", variables)
    return json.loads("".join((text, ""))[len(_JSON) :])


def _group_key(core: Callable[..., Any], expression: str, variables: Any) -> Any:
    """Return the key of a keyed group; core accepts neither numbers nor booleans."""
    value = _typed(core, expression, variables)
    return str(value) if isinstance(value, (bool, int, float)) else value


def _parses(template: str) -> bool:
    """Return whether a template can be right for some variables; it may still use a filter that does not exist."""
    try:
        Environment().parse(template)  # noqa: S701 - nothing is rendered
    except TemplateSyntaxError:
        return False
    return True


@contextmanager
def seeing(templar: Any, variables: Mapping[str, Any]) -> Iterator[None]:
    """Let the templates of the block see these variables, and those afterwards what they saw before."""
    before, templar.available_variables = templar.available_variables, variables
    try:
        yield
    finally:
        templar.available_variables = before


def _failure(option: str, expression: str, error: Exception | str) -> AnsibleParserError:
    """Return an error that must be raised without its cause: core shows the cause with lines of the file, maybe the key's."""
    return AnsibleParserError(f"{option}: {str(expression)!r} failed: {error}")
