# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests of the collection as users get it: built, imported, installed and run without a link to this checkout."""
