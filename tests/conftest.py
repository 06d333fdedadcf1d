# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep the user's own settings out of the tests, then let ansible-core find the collection; both before anything imports it."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

KEPT = ("ANSIBLE_COLLECTIONS_PATH",)  # says which copy of the collection is tested
USERS_OWN = (
    "ANSIBLE_",
    "PHALA_CLOUD_",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "REQUESTS_CA_",
    "CURL_CA_",
    "SSL_CERT_",
    "NETRC",
)
HOME = tempfile.TemporaryDirectory(prefix="phala-tests-")


def leave_settings_of_user() -> None:
    """Take every variable away that decides about Ansible, the service or the way there, and the home folder."""
    under_ansible_test = "ANSIBLE_CONTROLLER_MIN_PYTHON_VERSION" in os.environ  # its settings are its own already
    for name in list(os.environ):
        if name.upper().startswith(USERS_OWN) and name not in KEPT and not under_ansible_test:
            del os.environ[name]
    os.environ["HOME"] = HOME.name
    if not under_ansible_test:
        config = Path(HOME.name, "ansible.cfg")
        config.touch()
        os.environ["ANSIBLE_CONFIG"] = str(config)


def find_collection() -> None:
    from ansible.plugins.loader import init_plugin_loader
    from ansible.utils.collection_loader import AnsibleCollectionConfig

    if AnsibleCollectionConfig.collection_finder is None:
        init_plugin_loader()


def heed_interrupts() -> None:
    """Have Ctrl-C interrupt the tests and what they start, also where a shell has started them in the background."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


leave_settings_of_user()
heed_interrupts()
find_collection()
