# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The errors that fail a source.

Each is defined where it is raised, and the plugin turns them into errors of Ansible, in one place::

    SourceError              a source cannot be listed
    ├── OptionError          its file is wrong, or what it refers to (`_option_types`)
    │   └── CredentialsError the CLI's credentials cannot be used (`_credentials`)
    ├── ApiError             the service refuses, or its response is invalid (`_api_errors`)
    │   └── UnavailableError the service cannot be reached, or cannot answer now
    ├── ShapeError           the response has a form that is not known (`_apps`)
    ├── UndecidableError     an exclusion depends on what the response does not show (`_cvms`)
    ├── AmbiguousError       two CVMs have one identifier (`_cvms`)
    ├── GatewayGroupError    another source shares the group of the gateway (`_gateway`)
    ├── NameConflictError    a host and a group would always have one name (`_build`)
    ├── SmallFleetError      there are fewer hosts than min_hosts (`_build`)
    └── GroupLoopError       a group would be its own ancestor (`_publish`)
"""

from __future__ import annotations


class SourceError(Exception):
    """A source cannot be listed; the message says what was tried, what came back and what to do."""
