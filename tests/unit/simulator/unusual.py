# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Apps that the published description allows and that are rare, or not expected."""

from __future__ import annotations

from ansible_collections.phala.cloud.tests.simulator import App, Cvm

UUID = "2dd08139-9daa-4c4b-8f3e-000000000000"

UNUSUAL = (
    App(name="hidden", cvms=(Cvm(name="hidden-1", shows_instance_id=False), Cvm(name="hidden-2", gateway_enabled=False))),
    App(name="prefixed", app_id="0xAB" + "0" * 38, cvms=(Cvm(name="prefixed", instance_id="app_" + "1" * 40),)),
    App(name="double", cvms=(Cvm(name="one", vm_uuid=UUID), Cvm(name="two", vm_uuid=UUID.upper()))),
    App(name="differing", cvms=(Cvm(name="same"),), current_cvm=Cvm(name="same", status="stopped")),
    App(name="counted", cvms=(Cvm(name="shown"),), cvm_count=5),
    App(name="newer", cvms=(Cvm(name="newer", progress="running", extra={"managed_env": True}),), extra={"colour": "red"}),
    App(app_id="f" * 40, minimal=True),
)
