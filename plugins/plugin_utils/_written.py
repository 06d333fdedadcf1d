# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Take the values of a file as they are written there: vaulted text is text, and what YAML made of a bare word is not."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

import yaml
from ansible.utils.unsafe_proxy import wrap_var

from ansible_collections.phala.cloud.plugins.plugin_utils._plain_text import plain

try:
    from ansible.parsing.vault import EncryptedString as Vaulted
except ImportError:  # before 2.19
    from ansible.parsing.yaml.objects import AnsibleVaultEncryptedUnicode as Vaulted

SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INTEGER = "tag:yaml.org,2002:int"

NOT_RENDERED = (
    *("api_version", "ca_path", "cache_connection", "cache_plugin", "cache_prefix", "gateway_ca_path", "gateway_openssl"),
    *("group", "hostvars_prefix", "hostvars_suffix"),
)


def decrypted(value: Any) -> Any:
    """Return a value of a file in which each vaulted text that can be opened is text, at any depth, and never a template."""
    if isinstance(value, Vaulted):
        try:
            return wrap_var(plain(str(value)))
        except Exception:  # core's own, or that of a text which is not UTF-8: reading the file reports it
            return value
    if isinstance(value, Mapping):
        return {name: decrypted(entry) for name, entry in value.items()}
    return [decrypted(entry) for entry in value] if isinstance(value, list) else value


def unrendered_template(name: str, value: Any) -> str | None:
    """Return what is wrong with an option that looks like a template but is not rendered."""
    if name in NOT_RENDERED and isinstance(value, str) and ("{" in value or "}" in value):
        return f"{name}: {plain(value)!r} looks like a template, but this option does not accept one. Write the text itself."
    return None


def as_written(config: Mapping[Any, Any], source: str, text_options: Container[str]) -> dict[Any, Any]:
    """Return the options of a file in which the words are text that YAML reads as numbers and that look different.

    YAML makes 83 of 0123, 31 of 0x1f, 750 of 12:30 and 1000 of 1_000.

    :param source: the text of the file
    :param text_options: the options that hold text, also at any depth
    """
    try:
        root = yaml.compose(source, Loader=SafeLoader)
    except yaml.YAMLError:  # core reads YAML that is not plain, such as with tags of its own
        return dict(config)
    nodes = {name.value: value for name, value in root.value} if isinstance(root, yaml.MappingNode) else {}
    return {name: _written(value, nodes.get(name)) if name in text_options else value for name, value in config.items()}


def _written(value: Any, node: yaml.Node | None) -> Any:
    if isinstance(node, yaml.ScalarNode) and node.tag == _INTEGER and isinstance(value, int):
        return value if str(value) == node.value else node.value
    if isinstance(node, yaml.MappingNode) and isinstance(value, Mapping):
        nodes = {name.value: child for name, child in node.value}
        return {name: _written(entry, nodes.get(name)) for name, entry in value.items()}
    if isinstance(node, yaml.SequenceNode) and isinstance(value, list) and len(value) == len(node.value):
        return [_written(entry, child) for entry, child in zip(value, node.value, strict=True)]
    return value
