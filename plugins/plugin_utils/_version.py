# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The version of this collection, which the service sees; `galaxy.yml` cannot be read where the collection is installed."""

from __future__ import annotations

COLLECTION_VERSION = "2.0.0"
