# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests that nothing the API says can hurt, that the key stays where it is, and that no fault loses a host."""
