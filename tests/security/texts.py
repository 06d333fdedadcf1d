# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Texts that somebody could give to an app, and the apps that carry them in every field of both response shapes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

SHAPES: Final = {"flat": "2025-10-28", "nested": "2026-01-21"}
"""The API version that asks for each shape."""

PRODUCT: Final = "9754610360615761"
"""What `98765431 * 98765431` gives: it is nowhere unless a template was run."""

ORDINARY_TEXTS: Final = {
    "word": "web-1",
    "sentence": "The shop's front end, in 2 regions: 50 % each.",
    "accents": "Café 日本 🙂",
    "hash": "#jinja 2:x",
    "number": "007",
    "boolean": "yes",
    "brackets": "[a](b) <c>",
}


def hostile_texts(canary: Path | str, *, long: int = 2**14) -> dict[str, str]:
    """Return texts by kind, of which two are as long as told; whoever runs one as a template or command makes the canary."""
    touch = f"touch {canary}"
    run = f"lookup('ansible.builtin.pipe', '{touch}') ~ 98765431 * 98765431"
    header = "#jinja2:variable_start_string:'[[',variable_end_string:']]'"
    return {
        "expression": f"{{{{ {run} }}}}",
        "statement": f"{{% set ran = {run} %}}{{% if true %}}{{% endif %}}ran",
        "comment": "before {# hidden #} after",
        "raw block": f"{{% raw %}}{{{{ {run} }}}}{{% endraw %}}{{{{ {run} }}}}",
        "header": f"{header}\n[[ {run} ]]",
        "header in capitals": f"#JINJA2:variable_start_string:'[[',variable_end_string:']]'\n[[ {run} ]] in capitals",
        "header after blanks": f" \t\r\n\u00a0{header}\n[[ {run} ]]",
        "header of other delimiters": f"#jinja2:block_start_string:'(%',block_end_string:'%)'\n(% set ran = {run} %)ran",
        "line statements": f"#jinja2:line_statement_prefix:'%'\n% set ran = {run}",
        "opening half": f"{{{{ {run}",
        "closing half": "}}",
        "lone brace": "{",
        "half of a header": "#jinja",
        "other half of a header": f"2:variable_start_string:'[[',variable_end_string:']]'\n[[ {run} ]]",
        "without a header": f"[[ {run} ]]",
        "shell": f"$({touch}) `{touch}`; {touch} | {touch} & {touch} > /dev/null",
        "quotes": f"'; {touch}; \"; {touch}; '\\''\\",
        "leading dashes": f"-oProxyCommand={touch}",
        "only dashes": "--",
        "percent": "%h %p %% %(name)s {0.__class__}",
        "YAML": f"!!python/object/apply:os.system ['{touch}']",
        "YAML tag": f"!unsafe '{{{{ {run} }}}}'",
        "YAML structure": "name: [a\n- b: {c\n---\n...",
        "INI": "[all:vars]\nansible_connection=local",
        "vault": "$ANSIBLE_VAULT;1.1;AES256\n6162",
        "path": "../../../../etc/passwd",
        "control characters": "\x01\x07\x08\x0b\x1b[31m\x1b]0;title\x07\x7f\x80\x85\x9b",
        "line ends": "a\r\nb\nc\rd\u2028e\u2029f",
        "tab": "\tindented\t",
        "NUL": "before\x00after",
        "bidi marks": "\u202eabc\u2066def\u2069\u200f\ufeff",
        "lone surrogates": "a\ud800b\udfffc",
        "noncharacters": "\ufffe\uffff\U0010ffff",
        "blank": "   ",
        "localhost": "localhost",
        "all": "all",
        "loopback": "127.0.0.1",
        "long": "A" * long,
        "long template": f"{{{{ {run} }}}}" + "B" * long,
        **{f"ordinary {kind}": text for kind, text in ORDINARY_TEXTS.items()},
    }


def apps_with(text: str, number: int, shape: str, *, ids: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield an app that has the text in every field, and one that keeps ids and places as the service gives them.

    The first app has the text as its ids, too, unless ``ids`` says otherwise.
    """
    make = _flat_app if shape == "flat" else _nested_app
    yield make(text, ids or text, 10 * number + 1)
    yield make(text, None, 10 * number + 2)


def core_of(app: dict[str, Any], cvm: dict[str, Any], shape: str) -> dict[str, Any]:
    """Return the core variables that hold text, as they must come out of the app and its CVM."""
    same = ("name", "vm_uuid", "instance_id", "app_id", "status", "kms_type")
    core = {name: cvm[name] for name in same}
    core |= {"app_name": app["name"], "app": {name: app[name] for name in app if name not in ("cvms", "current_cvm")}}
    if shape == "flat":
        taken = {"region": cvm["region_identifier"], "node": cvm["teepod_name"], "team_slug": app["team_slug"]}
        names = ("base_image", "instance_type", "kms_slug", "kms_id", "updated_at")
        return core | taken | {name: cvm[name] for name in names} | {"team_name": app["team_name"]}
    return core | {
        "region": cvm["node_info"]["region"],
        "node": cvm["node_info"]["name"],
        "base_image": cvm["os"]["name"],
        "instance_type": cvm["resource"]["instance_type"],
        "gateway_domain": cvm["gateway"]["base_domain"],
        "team_slug": cvm["workspace"]["slug"],
        "team_name": cvm["workspace"]["name"],
    }


def _nest(text: str) -> dict[str, Any]:
    """Return an object with the text in keys and values, at several depths."""
    return {text: text, "list": [text, {text: [text, {text: 1}]}], "number": {text: 12, "flag": True}}


def _app(text: str, ids: str | None, number: int) -> dict[str, Any]:
    return {
        "id": text if ids else f"prj_{number}",
        "name": text,
        "app_id": ids or f"{number:040x}",
        "app_provision_type": text,
        "app_icon_url": text,
        "created_at": text,
        "kms_type": text,
        "profile": {"display_name": text, "avatar_url": text, "description": text, "custom_domain": text, text: text},
        "cvm_count": 1,
        "tomorrow": _nest(text),
    }


def _flat_app(text: str, ids: str | None, number: int) -> dict[str, Any]:
    cvm = {
        "vm_uuid": ids or f"{number:08x}-0000-4000-8000-000000000000",
        "app_id": ids or f"{number:040x}",
        "name": text,
        "status": text,
        "vcpu": 1,
        "memory": 2048,
        "disk_size": 20,
        "teepod_id": 7,
        "teepod_name": text,
        "region_identifier": text,
        "kms_type": text,
        "instance_type": text,
        "listed": False,
        "base_image": text,
        "kms_slug": text,
        "kms_id": text,
        "instance_id": ids or f"{number:040x}",
        "machine_info": {"vcpu": 1, "memory": 2048, "disk_size": 20, "gpu_count": 0, text: text},
        "updated_at": text,
        "cvm_number": number,
        "tomorrow": _nest(text),
        text: text,
    }
    return {**_app(text, ids, number), "team_slug": text, "team_name": text, "current_cvm": cvm, "cvms": [cvm]}


def _nested_app(text: str, ids: str | None, number: int) -> dict[str, Any]:
    cvm = {
        "id": text if ids else f"cvm_{number}",
        "name": text,
        "app_id": ids or f"{number:040x}",
        "vm_uuid": ids or f"{number:08x}-0000-4000-8000-000000000000",
        "instance_id": ids or f"{number:040x}",
        "resource": {
            "instance_type": text,
            "vcpu": 1,
            "memory_in_gb": 2.0,
            "disk_in_gb": 20,
            "gpus": 0,
            "compute_billing_price": text,
            "billing_period": text,
        },
        "node_info": {
            "object_type": text,
            "id": 7,
            "node_id": 1007,
            **dict.fromkeys(("name", "region", "device_id", "ppid", "status", "version"), text),
        },
        "os": {"name": text, "version": text, "is_dev": True, "os_image_hash": text},
        "kms_type": text,
        "kms_info": {
            "chain_id": 1,
            "dstack_kms_address": text,
            "dstack_app_address": text,
            "deployer_address": text,
            "rpc_endpoint": text,
            "encrypted_env_pubkey": text,
        },
        "status": text,
        "in_progress": True,
        "progress": {"target": text, "started_at": text, "correlation_id": text},
        **dict.fromkeys(("compose_hash", "docker_compose_hash", "pre_launch_script_hash"), text),
        "gateway": {"base_domain": text if ids else "gateway.example.org", "cname": text},
        "logs": {"serial": text, "stdout": text, "stderr": text, "container_log_base": text},
        "services": [_nest(text)],
        "endpoints": [{"app": text, "instance": text}],
        "public_logs": False,
        "storage_fs": text,
        "workspace": {"object_type": text, "id": text, "name": text, "slug": text, "avatar_url": text},
        "creator": {"object_type": text, "id": text, "username": text, "avatar_url": text},
        "created_at": text,
        "deleted_at": None,
        "listed": False,
        "project_type": text,
        "cvm_number": number,
        "tomorrow": _nest(text),
        text: text,
    }
    return {**_app(text, ids, number), "current_cvm": cvm, "cvms": [cvm]}
