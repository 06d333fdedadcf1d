# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests of the documentation: what it shows is run, and what comes out is compared with what it says."""
