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
  - Makes every confidential VM (CVM) of a Phala Cloud account a host.
  - Groups the hosts by region, node, base image and status, or by what O(group_by) names.
  - Sets the fields of the CVM, and its app's metadata, as host variables.
  - Sets up SSH through the platform's gateway, to the very CVM, unless O(connect_with) is V(none).
  - The name of the file must end in C(phala.yml) or C(phala.yaml).
notes:
  - A source is read as a whole or not at all. If the service cannot be asked, no host of it is in the inventory, and Ansible
    goes on with a warning, unless C(any_unparsed_is_failed) is set in the section C([inventory]) of C(ansible.cfg).
  - Text that comes from the service is never run as a template.
requirements:
  - requests >= 2.25.1 (Python package)
  - urllib3 >= 1.26.5 (Python package)
extends_documentation_fragment:
  - constructed
  - inventory_cache
options:
  plugin:
    description: The name of this plugin, which marks the file as its own.
    type: str
    required: true
    choices: [phala.cloud.phala]
  api_key:
    description:
      - The API key of the account.
      - Without one, the credentials are used that the command C(phala login) of the official CLI has stored.
      - May be a Jinja2 template that sees extra variables, and may be vaulted.
    type: str
    env:
      - name: PHALA_CLOUD_API_KEY
  profile:
    description:
      - The profile of the CLI's credentials file to use, by its name, its workspace's slug or its workspace's name.
      - The default is the C(profile) in the file C(phala.toml) of the working folder, else the current profile of the
        credentials file.
      - If it is set in the inventory file, its key takes precedence over E(PHALA_CLOUD_API_KEY). O(api_key) in the inventory file
        takes precedence over both.
      - The key from E(PHALA_CLOUD_API_KEY) is used with the base URL of the profile, if there is such a profile.
      - The credentials file is C(credentials.json) in the folder that E(PHALA_CLOUD_DIR) names, else in C(~/.phala-cloud).
      - Python 3.10 needs the Python package tomli to read a C(phala.toml) in which the word C(profile) occurs. Without it, set
        this option.
      - May be a Jinja2 template that sees extra variables.
    type: str
    env:
      - name: PHALA_CLOUD_PROFILE
  accounts:
    description:
      - Several accounts in one source, instead of O(api_key), O(profile) and O(api_url).
      - Each entry has a C(name), and C(api_key) or C(profile). It may have an C(api_url).
      - The source lists all accounts completely, or fails. Every other option applies to each account.
      - The environment's API key is not used. Its base URL applies to entries without C(api_url).
      - The host variable C(phala_account) is the name of the account. With V(account) in O(group_by), it makes groups.
      - C(api_key), C(profile) and C(api_url) may be Jinja2 templates that see extra variables, and may be vaulted.
    type: list
    elements: dict
  api_url:
    description:
      - The base URL of the service.
      - The default gives way to the base URL that the used profile carries.
      - Must be C(https), except for a service on this machine, because the API key is sent along.
      - May be a Jinja2 template that sees extra variables.
    type: str
    default: https://cloud-api.phala.com/api/v1
    env:
      - name: PHALA_CLOUD_API_PREFIX
  api_version:
    description:
      - The version of the API, sent as the header C(X-Phala-Version). The default is that of the official SDKs.
      - The core variables are the same for every version. V(2025-10-28) shows the KMS slug, but not the gateway domain, which the
        connection needs.
    type: str
    default: "2026-06-23"
  timeout:
    description: Seconds that one request may take as a whole, from looking up the name to the last byte.
    type: int
    default: 30
    env:
      - name: PHALA_CLOUD_TIMEOUT
  retries:
    description:
      - How often a request is tried again after the first time.
      - It is tried again after the statuses 429 and 5xx, timeouts and broken connections, with growing pauses.
      - The pause that the service asks for with C(Retry-After) is kept up to 30 seconds; a longer one fails at once.
      - The default ones take 15 seconds of pauses in all before the source fails.
    type: int
    default: 5
  validate_certs:
    description: Whether to check the certificate of the service. Turned off, anybody in between can read the API key.
    type: bool
    default: true
  ca_path:
    description:
      - A file or folder of CA certificates to check the service's certificate with.
      - A relative path starts in the folder of the inventory file, or, from the environment, in the working folder.
      - The default is what the Python package requests uses.
    type: path
    env:
      - name: PHALA_CLOUD_CA_PATH
  page_size:
    description:
      - How many apps to ask for in one request, from 1 to 100. A smaller number makes each answer quicker.
      - The default is the most that the service gives, for the fewest requests.
    type: int
    default: 100
  concurrency:
    description:
      - How many pages to ask for at a time, from 1 to 32.
      - More than the default gains little, and asks more of the service.
    type: int
    default: 8
  filters:
    description:
      - Which CVMs to list. A CVM is listed when it meets all filters. Without any, all CVMs are listed.
      - Known filters are C(base_image), C(instance_type), C(kms_slug), C(kms_type), C(listed), C(node), C(region), C(search) and
        C(status), which are the service's own.
      - The plugin itself decides C(name), C(app), C(team), C(os_type) (C(dev) or C(prod)) and C(id). C(team) is the workspace's
        slug or name. C(id) is any identifier of the CVM or of its app, in any spelling.
      - Any value may be a list, of which one must be met. Lists of C(status) cost nothing; every other list makes one request per
        value, or per combination of values.
      - Letter case does not matter.
      - C(base_image) matches a part of the image's name, or of its slug in the catalogue, such as C(dstack-dev-0.5.7-9b6a5239).
      - C(node) is the name of the node or of the teepod.
      - C(search) looks in the name, app id, VM UUID and instance id, and finds whole apps.
      - A field that is null matches nothing. If the response does not have the field at all, the service's decision applies.
      - A filter that is empty or undefined is an error.
      - Values may be Jinja2 templates that see extra variables.
    type: dict
    default: {}
  include_filters:
    description:
      - More filters like O(filters), of which each entry lists CVMs of its own.
      - The result is the union of O(filters), when given, and of these.
    type: list
    elements: dict
    default: []
  exclude_filters:
    description:
      - Filters like O(filters) that leave out the CVMs that meet every one of an entry.
      - C(search) is not possible here, and neither is C(kms_slug) with an O(api_version) that does not show it.
    type: list
    elements: dict
    default: []
  min_hosts:
    description:
      - The source fails if the result has fewer hosts than this.
      - Set it where an empty or small inventory would do harm, such as in a play that removes what has no host.
    type: int
    default: 0
  host_filters:
    description:
      - Jinja2 conditions over the host variables. A host stays in the inventory when all of them are true.
      - They are decided before host names and O(compose). One that fails, or gives no boolean, fails the source.
    type: list
    elements: str
    default: []
  hostnames:
    description:
      - Where to take the host's name from. The first entry that gives a name counts.
      - An entry is the name of a core variable, or a Jinja2 template that sees the host variables, with and without
        O(hostvars_prefix) and O(hostvars_suffix).
      - A template with an undefined variable gives no name, or, with O(strict), an error.
      - Characters other than letters, digits, C(.), C(_) and C(-) become C(-), and none of C(.) and C(-) leads.
      - Hosts that would share a name get C(-) and the first digits of their VM UUID, each of them.
      - The default is the CVM's name, else one of its ids.
    type: list
    elements: str
    default: [name, instance_id, vm_uuid, app_id]
  hostvars_prefix:
    description: What the names of the host variables begin with.
    type: str
    default: phala_
  hostvars_suffix:
    description: What the names of the host variables end with.
    type: str
    default: ""
  group:
    description:
      - The group of all hosts of this source.
      - It carries the connection variables, so give sources that connect in different ways a group each.
    type: str
    default: phala
  group_by:
    description:
      - What to group the hosts by. Each value makes a group such as C(region_US_WEST_1), a child of O(group).
      - V(os_type) gives C(os_type_dev) and C(os_type_prod).
      - V(team) is the workspace's slug, else its name. V(app) is the app's name.
      - V(reachable) gives C(reachable_true) and C(reachable_false), by the host variable C(is_reachable).
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
      - What the names of the groups that O(group_by) makes begin with.
      - With V(cvm_) they are C(cvm_region_US_WEST_1) and so on.
    type: str
    default: ""
  connect_with:
    description:
      - How the hosts are connected to.
      - V(gateway) goes over SSH through the platform's gateway to the very CVM, by its instance id. A CVM that cannot be
        addressed so is unreachable, and the error says why.
      - V(none) sets no connection variables.
      - Only dev images run an SSH server.
    type: str
    choices: [gateway, none]
    default: gateway
  gateway_domain:
    description:
      - The domain of the gateway, where the service names none, with a port if need be, such as V(gateway.example.org:8443).
      - May be a Jinja2 template that sees extra variables.
    type: str
  gateway_port:
    description: The port of the gateway, where its domain does not carry one.
    type: int
    default: 443
  gateway_validate_certs:
    description: Whether to check the certificate and the host name of the gateway.
    type: bool
    default: true
  gateway_ca_path:
    description:
      - A file or folder of CA certificates to check the gateway's certificate with.
      - A relative path starts in the folder of the inventory file, or, from the environment, in the working folder.
      - The default is what the command C(openssl) uses.
    type: path
    env:
      - name: PHALA_CLOUD_GATEWAY_CA_PATH
  gateway_openssl:
    description:
      - The command, or the path of the command, that makes the tunnel.
      - It must be OpenSSL. The C(openssl) of macOS is LibreSSL, which cannot check the host name of the gateway.
    type: str
    default: openssl
  allowed_gateway_domains:
    description:
      - The gateway domains that are allowed. Each entry also allows the domains below it.
      - A host with another gateway domain gets no address, and the plugin warns.
      - The default allows every domain that the service names.
      - May be Jinja2 templates that see extra variables.
    type: list
    elements: str
    default: []
  ssh_port:
    description: The port of the SSH server inside the CVM.
    type: int
    default: 22
  ssh_user:
    description:
      - The user to log in as. An empty one leaves the user to Ansible.
      - The default is the one of the dev images.
    type: str
    default: root
  cache_stale:
    description:
      - How many seconds old the last answer may be to stand in, with a warning, when the service cannot be reached or cannot
        answer.
      - It takes O(cache) to be on. An answer that refuses the request, such as for a wrong API key, is never made up for.
    type: int
    default: 0
"""

EXAMPLES = r"""
# This line alone, in a file such as phala.yml, lists all CVMs of the account
# that PHALA_CLOUD_API_KEY, or else 'phala login', gives access to.
# All that follows is optional.
plugin: phala.cloud.phala

# The running CVMs of a region that is chosen when the file is used:
#   ansible-inventory -i phala.yml -e target=US-WEST-1 --graph
filters:
  region: "{{ target }}"
  status: running

# All CVMs of apps in which "api" is found as well, wherever they run.
include_filters:
  - search: api

# But none on this node, and of machines with GPUs none that are stopped.
exclude_filters:
  - node: prod9
  - instance_type: [h100.small, h200.small]
    status: stopped

# And only those with two virtual processors or more.
# Variables are null where the service does not tell.
host_filters:
  - (phala_vcpu or 0) >= 2

# Names such as web-us-west-1, or the CVM's own name.
hostnames:
  - "{{ app_name }}-{{ region | lower }}"
  - name

# Groups such as region_US_WEST_1, app_web and os_type_dev, the latter of
# images that can be reached over SSH.
group_by: [region, app, os_type]

# Variables and groups of one's own.
compose:
  memory_gb: phala_memory / 1024
groups:
  gpu: (phala_gpu_count or 0) > 0
keyed_groups:
  - key: phala_app.kms_type
    prefix: kms

# Ask the service every five minutes at the most, and live without it for an
# hour.
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/phala-inventory
cache_timeout: 300
cache_stale: 3600

# What that lists, in an account with a web server on each of two nodes:
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
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import Diagnostic, Level, has_warning, merged, shown
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
            self.display.vvv(f"{self.NAME} does not take {path}: the name must end in {' or '.join(FILE_ENDINGS)}")
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
            summary = f"{path}: {len(built.hosts)} CVMs of {fleet.app_count} apps from {fleet.origin}"
            publish(inventory, built)
        for diagnostic in (*merged((*unmatched, *left_out, *lacking)), Diagnostic(Level.VERBOSE, summary)):
            report(diagnostic)

    def _start_reporting(self, settings: Settings) -> Report:
        """Show what was found in the settings, and return the function that shows diagnostics; a warning names its file."""
        display = {Level.WARNING: self.display.warning, Level.VERBOSE: self.display.v, Level.VERY_VERBOSE: self.display.vv}

        def report(diagnostic: Diagnostic) -> None:
            text = shown(diagnostic, settings.mask)
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
