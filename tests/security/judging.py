# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a safe inventory looks like, judged without the plugin's help."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from ansible.utils.unsafe_proxy import AnsibleUnsafe

from ansible_collections.phala.cloud.tests.loading import Loaded

from .texts import PRODUCT

HOST_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
GROUP_NAME: Final = re.compile(r"(?!\d)\w+")
RESERVED_NAMES: Final = ("localhost", "all", "ungrouped", "_meta")
ADDRESS: Final = re.compile(r"[0-9a-z]{1,57}-22(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+")
NO_ADDRESS: Final = "no-gateway-address.invalid."
REPLACED: Final = re.compile("[\ud800-\udfff\ufffd]+")

try:
    from ansible.template import is_trusted_as_template, trust_as_template
except ImportError:  # before 2.19
    is_trusted_as_template = trust_as_template = None


def is_template_like(text: str) -> bool:
    """Tell text that some ansible-core could take for a template, by the rule that the collection promises."""
    return "{" in text or "}" in text or text.strip().lower().startswith("#jinja2:")


def is_marked(text: str) -> bool:
    """Tell whether this ansible-core is told never to run the text."""
    if is_trusted_as_template:
        return not is_trusted_as_template(text)
    return isinstance(text, AnsibleUnsafe)


def strings_of(value: Any) -> Iterator[str]:
    """Yield every text in a JSON-like value, but for the keys."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for entry in value.values():
            yield from strings_of(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from strings_of(entry)


def keys_of(value: Any) -> Iterator[str]:
    """Yield every key of every object in a JSON-like value."""
    if isinstance(value, Mapping):
        yield from value
        for entry in value.values():
            yield from keys_of(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            yield from keys_of(entry)


def without_surrogates(value: Any) -> Any:
    """Return the value with one replacement character for each run of what no output can encode."""
    if isinstance(value, str):
        return REPLACED.sub("\ufffd", value)
    if isinstance(value, Mapping):
        return {without_surrogates(key): without_surrogates(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_surrogates(entry) for entry in value]
    return value


def assert_safe_names(outcome: Loaded) -> None:
    for name in outcome.hosts:
        assert not isinstance(name, AnsibleUnsafe), f"host {name!r} is no plain text"
        assert HOST_NAME.fullmatch(name), f"host {name!r}"
        assert name not in RESERVED_NAMES, f"host {name!r}"
        assert not is_of_this_machine(name), f"host {name!r}"
        assert name not in outcome.manager.groups, f"host and group {name!r}"
    for name in outcome.manager.groups:
        assert not isinstance(name, AnsibleUnsafe), f"group {name!r} is no plain text"
        assert GROUP_NAME.fullmatch(name), f"group {name!r}"


def is_of_this_machine(name: str) -> bool:
    """Tell an address that leads back here, in any of the ways to write it that the resolver knows."""
    try:
        address = socket.inet_aton(name)
    except OSError:
        return False
    return address[0] == 127 or address == bytes(4)


def assert_marked_rightly(outcome: Loaded) -> None:
    """Assert that text like a template is marked, and that all other text is plain, in variables of hosts and groups."""
    for variables in [*outcome.hosts.values(), *outcome.group_variables.values()]:
        for name, value in variables.items():
            by_key = not is_trusted_as_template and any(map(is_template_like, keys_of(value)))
            for text in strings_of(value):
                assert is_marked(text) == (is_template_like(text) or by_key), f"{name}: {text[:100]!r} of {type(text)}"
            # Before 2.19 core looks for marks on values alone, and judges by them what is made of the keys.
            assert not by_key or any(map(is_marked, strings_of(value))), f"{name}: {value!r:.100}"


def assert_connections_checked(outcome: Loaded) -> None:
    """Assert that what reaches a command line is either an address of the strict pattern or a refusal."""
    for name, variables in outcome.hosts.items():
        if variables["ansible_host"] == NO_ADDRESS:
            assert "exit 1" in variables["ansible_ssh_common_args"]
        else:
            assert ADDRESS.fullmatch(variables["ansible_host"]), f"{name}: {variables['ansible_host']!r}"
            assert "ansible_ssh_common_args" not in variables
        assert set(filter(is_connection_variable, variables)) <= {"ansible_host", "ansible_port", "ansible_ssh_common_args"}


def is_connection_variable(name: str) -> bool:
    return name.startswith("ansible_")


def render_everything(outcome: Loaded) -> None:
    """Use every variable as a play does: by itself, within other text, and once more as a fact made of it.

    Nothing is asserted about what comes of it but that no template of the API ran.
    """
    render = _renderer()
    for name, value in _distinct_variables(outcome):
        fact = render("{{ value }}", {"value": value})
        text = render("about {{ value | string }} {{ value }}", {"value": value})
        again = render("the {{ fact }} {{ text }}", {"fact": fact, "text": text})
        assert PRODUCT not in f"{fact} {text} {again}", f"{name}: {value!r:.100}"


def _distinct_variables(outcome: Loaded) -> Iterator[tuple[str, Any]]:
    """Yield each value that holds text once, for the same text is in many variables."""
    seen = set()
    for variables in outcome.hosts.values():
        for name, value in variables.items():
            known = repr(value)
            if known not in seen and (any(strings_of(value)) or any(keys_of(value))):
                seen.add(known)
                yield name, value


def _renderer() -> Callable[[str, Mapping[str, Any]], Any]:
    templar = Templar(loader=DataLoader())

    def render(template: str, variables: Mapping[str, Any]) -> Any:
        templar.available_variables = dict(variables)
        return templar.template(trust_as_template(template) if trust_as_template else template)

    return render
