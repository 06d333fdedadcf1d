# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""How long whole commands take with this plugin, and with others: `make bench`, or `python -m tests.benchmarks --help`."""
