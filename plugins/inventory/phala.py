# SPDX-FileCopyrightText: The phala.cloud collection contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory plugin ``phala.cloud.phala``."""

from __future__ import annotations

DOCUMENTATION = r"""
name: phala
short_description: Confidential VMs of a Phala Cloud account
version_added: 1.0.0
author:
  - The phala.cloud collection contributors (!UNKNOWN)
description:
  - Lists the confidential VMs (CVMs) of a Phala Cloud account as hosts.
  - Groups the hosts by region, node, base image and status. O(group_by) chooses other groups.
  - Sets the fields of the CVM and of its app as host variables.
  - Sets up SSH to each CVM through the platform's gateway, unless O(connect_with) is V(none).
  - The name of the inventory file must end in C(phala.yml) or C(phala.yaml).
notes:
  - The plugin returns all hosts of a source, or fails. If it fails, Ansible prints a warning and continues without the hosts. To
    make Ansible stop, set C(any_unparsed_is_failed) in the section C([inventory]) of C(ansible.cfg).
  - Text from the service is never run as a template.
requirements:
  - requests >= 2.25.1 (Python package)
  - urllib3 >= 1.26.5 (Python package)
extends_documentation_fragment:
  - constructed
  - inventory_cache
options:
  plugin:
    description: The name of this plugin. It shows that the file belongs to the plugin.
    type: str
    required: true
    choices: [phala.cloud.phala]
  api_key:
    description:
      - The API key of the account.
      - The default is the key that the command C(phala login) of the official CLI has stored.
      - Can be a Jinja2 template with extra variables, and can be vaulted.
    type: str
    env:
      - name: PHALA_CLOUD_API_KEY
  profile:
    description:
      - The profile in the CLI's credentials file. Write its name, or the slug or the name of its workspace.
      - The default is C(profile) in the file C(phala.toml) of the working folder, else the current profile of the credentials
        file.
      - In the inventory file, this option takes precedence over E(PHALA_CLOUD_API_KEY). O(api_key) in the inventory file takes
        precedence over both.
      - If the key comes from E(PHALA_CLOUD_API_KEY), the plugin still uses the base URL of the profile, if there is such a
        profile.
      - The credentials file is C(credentials.json) in the folder E(PHALA_CLOUD_DIR), else in C(~/.phala-cloud).
      - If C(phala.toml) contains the word C(profile), Python 3.10 needs the Python package tomli. Without the package, set this
        option.
      - Can be a Jinja2 template with extra variables.
    type: str
    env:
      - name: PHALA_CLOUD_PROFILE
  accounts:
    description:
      - Several accounts in one source. Use this instead of O(api_key), O(profile) and O(api_url).
      - Each entry has a C(name), and either C(api_key) or C(profile). It can have an C(api_url).
      - The source lists all accounts completely, or fails. Every other option applies to each account.
      - The plugin does not use the API key of the environment. The base URL of the environment applies to entries without
        C(api_url).
      - The host variable C(phala_account) is the name of the account. Add V(account) to O(group_by) to group by it.
      - C(api_key), C(profile) and C(api_url) can be Jinja2 templates with extra variables, and can be vaulted.
    type: list
    elements: dict
  api_url:
    description:
      - The base URL of the service.
      - If a profile is used and has a base URL, that URL takes precedence over the default.
      - Must be C(https), because the API key is sent there. Plain C(http) is possible for a service on this machine.
      - Can be a Jinja2 template with extra variables.
    type: str
    default: https://cloud-api.phala.com/api/v1
    env:
      - name: PHALA_CLOUD_API_PREFIX
  api_version:
    description:
      - The version of the API. The default is the one of the official SDKs.
      - The plugin sends it as the header C(X-Phala-Version).
      - The core variables are the same for every version. V(2025-10-28) shows the KMS slug, but not the gateway domain, which
        connections need.
    type: str
    default: "2026-06-23"
  timeout:
    description: The maximum time of one request, in seconds, from looking up the name to the last byte.
    type: int
    default: 30
    env:
      - name: PHALA_CLOUD_TIMEOUT
  retries:
    description:
      - How often the plugin repeats a request that failed.
      - It repeats requests after the statuses 429 and 5xx, timeouts and broken connections. The pauses become longer each time.
      - If the service asks for a pause with C(Retry-After), the plugin waits up to 30 seconds. If the service asks for more, the
        source fails at once.
      - With the default, the pauses add up to 15 seconds before the source fails.
    type: int
    default: 5
  validate_certs:
    description: Whether to check the certificate of the service. If you turn this off, anybody in between can read the API key.
    type: bool
    default: true
  ca_path:
    description:
      - A file or folder of CA certificates for checking the service's certificate.
      - A relative path starts in the folder of the inventory file. In the environment variable, it starts in the working folder.
      - The default is what the Python package requests uses.
    type: path
    env:
      - name: PHALA_CLOUD_CA_PATH
  page_size:
    description:
      - The number of apps in one request, from 1 to 100. With a smaller number, each response arrives earlier.
      - The default is the maximum of the service, and needs the fewest requests.
    type: int
    default: 100
  concurrency:
    description:
      - The number of pages to fetch at the same time, from 1 to 32.
      - A larger number than the default saves little time and puts more load on the service.
    type: int
    default: 8
  filters:
    description:
      - Which CVMs to list. A CVM is listed if it matches all filters. Without filters, all CVMs are listed.
      - The service has the filters C(base_image), C(instance_type), C(kms_slug), C(kms_type), C(listed), C(node), C(region),
        C(search) and C(status).
      - The plugin has the filters C(name), C(app), C(team), C(os_type) (C(dev) or C(prod)) and C(id). C(team) is the workspace's
        slug or name. C(id) is any identifier of the CVM or of its app, in any spelling.
      - Any value can be a list. The CVM must match one of its values. A list for C(status) costs nothing. Every other list makes
        one query for each value, or for each combination of values.
      - Letter case does not matter.
      - C(base_image) matches a part of the image's name, or of its slug in the catalogue, such as C(dstack-dev-0.5.7-9b6a5239).
      - C(node) is the name of the node or of the teepod.
      - C(search) searches in the name, app id, VM UUID and instance id. It finds whole apps.
      - A field that is null matches nothing. If the response does not have the field at all, the service decides.
      - A filter that is empty or undefined is an error.
      - Values can be Jinja2 templates with extra variables.
    type: dict
    default: {}
  include_filters:
    description:
      - More queries. Each entry has the same filters as O(filters).
      - The result has every CVM that matches O(filters), if you set it, or one of these entries.
    type: list
    elements: dict
    default: []
  exclude_filters:
    description:
      - Which CVMs to leave out. Each entry has the same filters as O(filters). A CVM is left out if it matches all filters of one
        entry.
      - C(search) is not possible here. C(kms_slug) is possible only with an O(api_version) that shows it.
    type: list
    elements: dict
    default: []
  min_hosts:
    description:
      - The minimum number of hosts. The source fails if the result has fewer.
      - Set it if an empty inventory would do harm, such as in a play that removes everything that is not a host.
    type: int
    default: 0
  host_filters:
    description:
      - Jinja2 conditions with the host variables. A host stays in the inventory if all of them are true.
      - The plugin decides them before host names and O(compose). If a condition fails, or its result is not a boolean, the source
        fails.
    type: list
    elements: str
    default: []
  hostnames:
    description:
      - Where the name of a host comes from. The plugin uses the first entry that has a value.
      - An entry is the name of a core variable, or a Jinja2 template. The template can use the host variables with or without
        O(hostvars_prefix) and O(hostvars_suffix).
      - If a variable of a template is undefined, the plugin uses the next entry. With O(strict), it is an error.
      - Characters other than letters, digits, C(.), C(_) and C(-) become C(-). Any C(.) or C(-) at the start is removed.
      - If several hosts would get one name, each of them gets C(-) and the first digits of its VM UUID.
      - The default is the CVM's name, else one of its ids.
    type: list
    elements: str
    default: [name, instance_id, vm_uuid, app_id]
  hostvars_prefix:
    description: The prefix of the names of host variables.
    type: str
    default: phala_
  hostvars_suffix:
    description: The suffix of the names of host variables.
    type: str
    default: ""
  group:
    description:
      - The group of all hosts of this source.
      - If two sources connect in different ways, give each of them its own group. The name is also a part of the group that has
        the connection variables, such as C(phala_gateway).
    type: str
    default: phala
  group_by:
    description:
      - What to group the hosts by. Each value makes a group such as C(region_US_WEST_1), which is a child of O(group).
      - V(os_type) makes C(os_type_dev) and C(os_type_prod).
      - V(team) is the workspace's slug, else its name. V(app) is the app's name.
      - V(reachable) makes C(reachable_true) and C(reachable_false), from the host variable C(phala_is_reachable).
    type: list
    elements: str
    choices:
      - region
      - node
      - base_image
      - status
      - app
      - instance_type
      - kms_type
      - kms_slug
      - team
      - listed
      - os_type
      - os_version
      - gpu_count
      - account
      - reachable
    default: [region, node, base_image, status]
  group_prefix:
    description:
      - The prefix of the names of the groups that O(group_by) makes.
      - With V(cvm_), they are C(cvm_region_US_WEST_1) and so on.
      - Can be a Jinja2 template with extra variables.
    type: str
    default: ""
  connect_with:
    description:
      - How Ansible connects to the hosts.
      - V(gateway) uses SSH through the platform's gateway, with the CVM's instance id. If a CVM has no such address, it is
        unreachable, and the error gives the reason.
      - V(none) does not set any connection variables.
      - Only dev images run an SSH server.
    type: str
    choices: [gateway, none]
    default: gateway
  gateway_domain:
    description:
      - The domain of the gateway, for CVMs whose domain the service does not show. It can have a port, such as
        V(gateway.example.org:8443).
      - Can be a Jinja2 template with extra variables.
    type: str
  gateway_port:
    description: The port of the gateway, if its domain does not include one.
    type: int
    default: 443
  gateway_validate_certs:
    description: Whether to check the certificate and the host name of the gateway.
    type: bool
    default: true
  gateway_ca_path:
    description:
      - A file or folder of CA certificates for checking the gateway's certificate.
      - A relative path starts in the folder of the inventory file. In the environment variable, it starts in the working folder.
      - The default is what the command C(openssl) uses.
    type: path
    env:
      - name: PHALA_CLOUD_GATEWAY_CA_PATH
  gateway_openssl:
    description:
      - The OpenSSL command that makes the tunnel, or its path. A relative path with a C(/) starts in the folder of the inventory
        file.
      - The C(openssl) of macOS is LibreSSL, which cannot check the host name of the gateway.
    type: str
    default: openssl
  allowed_gateway_domains:
    description:
      - The gateway domains that are allowed. Each entry also allows the domains below it.
      - A host with another gateway domain gets no address, and the plugin warns.
      - The default allows every domain.
      - Can be Jinja2 templates with extra variables.
    type: list
    elements: str
    default: []
  ssh_port:
    description: The port of the SSH server inside the CVM.
    type: int
    default: 22
  ssh_user:
    description:
      - The user to log in as. It takes precedence over the option C(--user) of Ansible's commands.
      - With an empty value, Ansible chooses the user.
      - The default is the user of the dev images.
      - Can be a Jinja2 template with extra variables.
    type: str
    default: root
  cache_stale:
    description:
      - The maximum age, in seconds, of an old response that the plugin uses, with a warning, if the service cannot be reached or
        cannot answer.
      - This needs O(cache). If the service refuses the request, such as for a wrong API key, the source fails.
    type: int
    default: 0
"""

EXAMPLES = r"""
# This line is enough. In a file such as phala.yml, it lists all CVMs of the
# account of PHALA_CLOUD_API_KEY or 'phala login'. Everything else is optional.
plugin: phala.cloud.phala

# The running CVMs of a region that you choose on the command line:
#   ansible-inventory -i phala.yml -e target=US-WEST-1 --graph
filters:
  region: "{{ target }}"
  status: running

# Also all CVMs of apps that match "api", in all regions.
include_filters:
  - search: api

# Leave out this node, and stopped machines with GPUs.
exclude_filters:
  - node: prod9
  - instance_type: [h100.small, h200.small]
    status: stopped

# Keep only CVMs with two virtual processors or more. Variables can be null.
host_filters:
  - (phala_vcpu or 0) >= 2

# Names such as web-us-west-1. If a value is missing, the CVM's own name.
hostnames:
  - "{{ app_name }}-{{ region | lower }}"
  - name

# Groups such as region_US_WEST_1, app_web and os_type_dev. Only CVMs in
# os_type_dev run an SSH server.
group_by: [region, app, os_type]

# Your own variables and groups.
compose:
  memory_gb: phala_memory / 1024
groups:
  gpu: (phala_gpu_count or 0) > 0
keyed_groups:
  - key: phala_app.kms_type
    prefix: kms

# Ask the service at most every five minutes. If it cannot be reached, use the
# last response for up to an hour.
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/phala-inventory
cache_timeout: 300
cache_stale: 3600

# The result, in an account with a web server on each of two nodes:
#   ansible-inventory -i phala.yml -e target=US-WEST-1 --graph
#   @all:
#     |--@ungrouped:
#     |--@phala:
#     |  |--@region_US_WEST_1:
#     |  |  |--web-us-west-1-0ac50d74
#     |  |  |--web-us-west-1-81449e5d
#     |  |--@app_web:
#     |  |  |--web-us-west-1-0ac50d74
#     |  |  |--web-us-west-1-81449e5d
#     |  |--@os_type_dev:
#     |  |  |--web-us-west-1-0ac50d74
#     |  |  |--web-us-west-1-81449e5d
#     |  |--@phala_gateway:
#     |  |  |--web-us-west-1-0ac50d74
#     |  |  |--web-us-west-1-81449e5d
#     |  |--web-us-west-1-0ac50d74
#     |  |--web-us-west-1-81449e5d
#     |--@kms_phala:
#     |  |--web-us-west-1-0ac50d74
#     |  |--web-us-west-1-81449e5d
"""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable

from ansible_collections.phala.cloud.plugins.plugin_utils._build import build
from ansible_collections.phala.cloud.plugins.plugin_utils._cache_options import open_cache
from ansible_collections.phala.cloud.plugins.plugin_utils._construct import Expressions
from ansible_collections.phala.cloud.plugins.plugin_utils._cvms import select_from_accounts
from ansible_collections.phala.cloud.plugins.plugin_utils._errors import SourceError
from ansible_collections.phala.cloud.plugins.plugin_utils._file import names_plugin
from ansible_collections.phala.cloud.plugins.plugin_utils._fleet import get_fleet, unmatched_filters
from ansible_collections.phala.cloud.plugins.plugin_utils._garbage import paused_garbage_collection
from ansible_collections.phala.cloud.plugins.plugin_utils._interrupts import reraise_swallowed_interrupt
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import (
    Diagnostic,
    Level,
    as_line,
    counted,
    has_warning,
    merged,
)
from ansible_collections.phala.cloud.plugins.plugin_utils._option_types import well_typed
from ansible_collections.phala.cloud.plugins.plugin_utils._options import read_settings
from ansible_collections.phala.cloud.plugins.plugin_utils._publish import publish
from ansible_collections.phala.cloud.plugins.plugin_utils._written import decrypted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible.inventory.data import InventoryData
    from ansible.parsing.dataloader import DataLoader

    from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Report
    from ansible_collections.phala.cloud.plugins.plugin_utils._redaction import Mask
    from ansible_collections.phala.cloud.plugins.plugin_utils._settings import Settings

FILE_ENDINGS = ("phala.yml", "phala.yaml")


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):
    """Fetch the CVMs of an account, build their hosts, then publish them."""

    NAME = "phala.cloud.phala"

    def verify_file(self, path: str) -> bool:
        if not path.endswith(FILE_ENDINGS):
            if names_plugin(path):
                self.display.warning(
                    f"{path}: the file names {self.NAME}, which does not read it, because its name does not end in"
                    f" {' or '.join(FILE_ENDINGS)}. Rename the file."
                )
            return False
        return bool(super().verify_file(path))

    def set_options(self, task_keys: Any = None, var_options: Any = None, direct: Any = None) -> None:
        # Core would stop at the first option of a wrong type, and fail where the cache cannot be opened.
        options = well_typed(self.option_definitions, decrypted(direct or {}))
        super().set_options(task_keys=task_keys, var_options=var_options, direct={**options, "cache": False})

    @reraise_swallowed_interrupt()
    def parse(self, inventory: InventoryData, loader: DataLoader, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        settings = read_settings(self, path)
        report = self._start_reporting(settings)
        with paused_garbage_collection(), _errors_of_ansible(settings.mask):
            fleet = get_fleet(settings, open_cache(self, settings, report), use_cache=cache, report=report)
            unmatched = unmatched_filters(settings, fleet)
            cvms, left_out = select_from_accounts(settings, fleet.apps, fleet.nodes, is_explained=has_warning(unmatched))
            built, lacking = build(cvms, settings, Expressions(self, settings.constructed), inventory)
            summary = f"{path}: {counted(len(built.hosts), 'CVM')} in {counted(fleet.app_count, 'app')} from {fleet.origin}"
            publish(inventory, built)
        for diagnostic in (*merged((*unmatched, *left_out, *lacking)), Diagnostic(Level.VERBOSE, summary)):
            report(diagnostic)

    def _start_reporting(self, settings: Settings) -> Report:
        """Show what was found in the settings, and return the function that shows diagnostics; a warning names its file."""
        display = {Level.WARNING: self.display.warning, Level.VERBOSE: self.display.v, Level.VERY_VERBOSE: self.display.vv}

        def report(diagnostic: Diagnostic) -> None:
            text = as_line(diagnostic, settings.mask)
            of_file = diagnostic.level == Level.WARNING and not text.startswith(settings.path)
            display[diagnostic.level](f"{settings.path}: {text}" if of_file else text)

        for diagnostic in settings.diagnostics:
            report(diagnostic)
        return report


@contextmanager
def _errors_of_ansible(mask: Mask) -> Iterator[None]:
    """Turn the errors of a source into one of Ansible, without the cause, whose message core would show again since 2.19."""
    try:
        yield
    except SourceError as error:
        raise AnsibleParserError(mask(str(error))) from None
