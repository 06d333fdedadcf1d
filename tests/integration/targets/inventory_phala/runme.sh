#!/usr/bin/env bash
# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# Lists a stand-in service's account, from a process of its own, with the command and in a play.

set -eux

folder=$(mktemp -d)
mkfifo "$folder/url"
PYTHONPATH=${ANSIBLE_COLLECTIONS_PATH%%:*} python -m ansible_collections.phala.cloud.tests.simulator --api-key phak_test > "$folder/url" &
trap 'kill $!; rm -r "$folder"' EXIT
read -r PHALA_CLOUD_API_PREFIX < "$folder/url"
export PHALA_CLOUD_API_PREFIX PHALA_CLOUD_API_KEY=phak_test ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED=true

ansible-inventory -i phala.yml --graph phala
ansible-playbook -i phala.yml check.yml
