# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Evaluate the user's expressions for one host by ansible-core, before anything is in the inventory."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

from ansible.errors import AnsibleParserError, AnsibleUndefinedVariable
from ansible.template import Templar
from ansible.utils.vars import combine_vars

from ansible_collections.phala.cloud.plugins.plugin_utils._failures import Failure, failure
from ansible_collections.phala.cloud.plugins.plugin_utils._lookup import NOT_FOUND, looked_up
from ansible_collections.phala.cloud.plugins.plugin_utils._plain_text import plain
from ansible_collections.phala.cloud.plugins.plugin_utils._settings import ConstructedSettings
from ansible_collections.phala.cloud.plugins.plugin_utils._templates import seeing
from ansible_collections.phala.cloud.plugins.plugin_utils._trust import Marker

HAS_TYPES = hasattr(Templar, "evaluate_expression")  # since 2.19

MAX_GROUPS = 1_000  # of one host
_TOO_MANY_GROUPS = f"Left out groups, because groups and keyed_groups can give a host at most {MAX_GROUPS}"

_JSON = "json:"  # what follows is JSON, which core then makes no other value of

_CORRECT = "Correct it, or write a default where a value may be null."

_EMPTY: tuple[Any, ...] = (None, "", [], {})


@dataclass(slots=True)
class Recorder:
    """Stand in for the inventory while core's constructed features run, and keep what they add to a host.

    ``left_out`` has the reason for what cannot be published, by its name, and ``failures`` what expressions failed.

    Core adds hosts as it goes, so an error in a strict source would leave the earlier ones behind.
    """

    host: str
    variables: dict[str, Any] = field(default_factory=dict)
    groups: list[str] = field(default_factory=list)
    parents: list[tuple[str, str]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

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

    def limit_groups(self) -> None:
        """Leave out groups that are too many: the service may send long lists, and core's time grows with the square of these."""
        groups = list(dict.fromkeys(self.groups))
        if len(groups) > MAX_GROUPS:
            self.groups = groups[:MAX_GROUPS]
            kept = frozenset(self.groups)
            self.parents = [(parent, group) for parent, group in self.parents if group in kept]
            self.left_out[f"{len(groups) - MAX_GROUPS} groups"] = _TOO_MANY_GROUPS

    def all_groups(self) -> set[str]:
        """Return every group that was named, as a host's or as a parent."""
        return {*self.groups, *(group for family in self.parents for group in family)}


class Expressions:
    """The expressions and templates of one source, which Ansible's plugin object evaluates."""

    def __init__(self, plugin: Any, constructed: ConstructedSettings) -> None:
        self._plugin = plugin
        self._core_compose = plugin._compose
        self._constructed = constructed
        self._results: list[Any] = []  # of the expressions of one entry
        self._extra_variables = plugin._vars if plugin.get_option("use_extra_vars") else {}
        plugin._sanitize_group_name = cache(plugin._sanitize_group_name)  # the names of groups repeat from host to host

    @property
    def are_constructed(self) -> bool:
        """Whether there is anything to construct."""
        options = self._constructed
        return bool(options.compose or options.groups or options.keyed_groups)

    @property
    def texts(self) -> dict[str, Any]:
        """The expressions and templates by their entries, as messages name them."""
        options = self._constructed
        return {
            **{f"compose.{name}": text for name, text in options.compose.items()},
            **{f"groups.{name}": text for name, text in options.groups.items()},
            **{f"keyed_groups[{position}]": entry["key"] for position, entry in enumerate(options.keyed_groups)},
        }

    def construct(self, host: str, variables: Mapping[str, Any], marker: Marker) -> Recorder:
        """Return the variables, groups and parents of groups that compose, groups and keyed_groups give a host.

        :param variables: what the expressions see
        :raises AnsibleParserError: when ``strict`` is set and an expression fails
        """
        recorder = Recorder(host)
        known = dict(variables)
        plugin = self._plugin
        before = plugin.inventory, plugin.templar.available_variables
        plugin.inventory, plugin.templar.available_variables = recorder, known
        try:
            self._add_variables_and_groups(known, recorder, marker)
            self._add_to_keyed_groups(known, recorder)
        finally:
            plugin.inventory, plugin.templar.available_variables = before
            plugin._compose = self._core_compose
        recorder.limit_groups()
        return recorder

    def _add_variables_and_groups(self, known: dict[str, Any], recorder: Recorder, marker: Marker) -> None:
        """Evaluate ``compose`` and ``groups``. Core reports errors only with strict, so each is evaluated by itself."""
        plugin = self._plugin
        plugin._compose = self._evaluate
        for name, text in self._constructed.compose.items():
            compose = partial(plugin._set_composite_vars, {name: text}, known, recorder.host, strict=True)
            self._attempt(f"compose.{name}", text, known, recorder, compose)
        # Two harmless texts joined by an expression can be a template, so each result is marked anew.
        recorder.variables, recorder.left_out = marker.mark_variables(recorder.variables)
        known.update(recorder.variables)
        for name, text in self._constructed.groups.items():
            add = partial(self._add_to_group, name, text, known, recorder)
            self._attempt(f"groups.{name}", text, known, recorder, add)

    def _add_to_keyed_groups(self, known: Mapping[str, Any], recorder: Recorder) -> None:
        plugin = self._plugin
        plugin._compose = self._group_key
        # The template of parent_group sees these, also where no key is evaluated by core.
        plugin.templar.available_variables = combine_vars(known, self._extra_variables) if self._extra_variables else known
        for position, keyed in enumerate(self._constructed.keyed_groups):
            add = partial(plugin._add_host_to_keyed_groups, [keyed], known, recorder.host, strict=True, fetch_hostvars=False)
            self._attempt(f"keyed_groups[{position}]", keyed["key"], known, recorder, add)

    def _attempt(
        self, entry: str, text: Any, variables: Mapping[str, Any], recorder: Recorder, evaluate: Callable[[], None]
    ) -> None:
        """Let core evaluate one entry for a host, and keep why it failed.

        :raises AnsibleParserError: when ``strict`` is set and it fails
        """
        self._results.clear()
        try:
            evaluate()
        except Exception as error:  # before 2.19 an expression raises whatever Python raises in it
            if self._constructed.strict:
                raise AnsibleParserError(f"{entry}: {str(text)!r} failed for {recorder.host}: {error}") from None
            if error.__context__ is None and self._results and self._results[-1] in _EMPTY:
                return  # core refuses a key that is null or empty, with strict
            if failed := failure(entry, text, recorder.host, error, variables):
                recorder.failures.append(failed)

    def _add_to_group(self, name: str, condition: Any, variables: Mapping[str, Any], recorder: Recorder) -> None:
        """Add a host to one of ``groups`` if its condition holds."""
        plugin, host = self._plugin, recorder.host
        found = looked_up(condition, variables)  # core ignores extra variables here
        if not isinstance(found, bool):
            plugin._add_host_to_composed_groups({name: condition}, variables, host, strict=True, fetch_hostvars=False)
            return
        group = plugin._sanitize_group_name(name)
        if found:
            recorder.add_child(recorder.add_group(group), host)

    def is_met(self, condition: str, variables: Mapping[str, Any]) -> bool:
        """Decide one of host_filters for a host.

        :raises AnsibleParserError: when it fails or its result is not a boolean
        """
        plugin = self._plugin
        if isinstance(found := looked_up(condition, variables, self._extra_variables), bool):
            return found
        try:
            with seeing(plugin.templar, variables):
                if not HAS_TYPES:
                    # Before 2.19 a result is returned as text, so its type must be queried inside the template.
                    is_boolean = plugin._compose(f"({condition}) is boolean", variables)
                result = plugin._compose(condition, variables)
        except AnsibleUndefinedVariable as error:
            advice = "Write variables with their hostvars_prefix, such as 'phala_status'."
            raise _failure("host_filters", condition, error, advice) from None
        except Exception as error:  # before 2.19 an expression raises whatever Python raises in it
            raise _failure("host_filters", condition, error) from None
        if HAS_TYPES:
            is_boolean = isinstance(result, bool)
        if not is_boolean:
            raise AnsibleParserError(
                f"host_filters: {condition!r} returned {result!r}, which is not true or false. Write a comparison such as"
                " 'phala_is_dev is true' or '(phala_vcpu or 0) >= 4'."
            )
        return bool(result)

    def name(self, entry: str, template: str, variables: Mapping[str, Any], label: object) -> str | Failure | None:
        """Render one of hostnames for a host; return None where it uses a part of a null.

        :param variables: take precedence over extra variables
        :param label: the host, which has no name yet
        :raises AnsibleParserError: when it fails and ``strict`` is set
        """
        templar = self._plugin.templar
        known = {**self._plugin._vars, **variables}
        try:
            with seeing(templar, known):
                text = str(templar.template(template)).strip()  # a block scalar ends in a line break
        except Exception as error:  # as above
            if self._constructed.strict:
                raise _failure("hostnames", template, error) from None
            return failure(entry, template, label, error, known, is_template=True)
        return "" if text == "None" else text  # some versions render a null alone as this text

    def _evaluate(self, expression: str, variables: Any, *_rest: Any, **_options: Any) -> Any:
        """Return the value of an expression, and keep it."""
        found = looked_up(expression, variables, self._extra_variables)
        self._results.append(_typed(self._core_compose, expression, variables) if found is NOT_FOUND else found)
        return self._results[-1]

    def _group_key(self, expression: str, variables: Any, *_rest: Any, **_options: Any) -> Any:
        """Return the key of a keyed group; core accepts neither numbers nor booleans, and before 2.19 no null for its default."""
        value = self._evaluate(expression, variables)
        if value is None:
            return ""
        return str(value) if isinstance(value, (bool, int, float)) else value


def _typed(core: Callable[..., Any], expression: str, variables: Any) -> Any:
    """Return the value of an expression with the type that it has in the expression.

    Before 2.19 core returns text, of which it then makes a boolean, a list or the like, such as of an app's name ``True``.
    """
    if HAS_TYPES:
        return core(expression, variables)
    text = core(f"{_JSON!r} ~ (({expression}) | to_json)", variables)
    return json.loads("".join((text, ""))[len(_JSON) :])


def _failure(option: str, expression: str, error: Exception, advice: str = _CORRECT) -> AnsibleParserError:
    """Return an error that must be raised without its cause: core shows the cause with lines of the file, maybe the key's."""
    text = str(error).rstrip(".")
    return AnsibleParserError(f"{option}: {str(expression)!r} failed: {text}. {advice}")
