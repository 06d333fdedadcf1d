# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The account of the demo, small enough for its graph to fit on a screen."""

from __future__ import annotations

from tests.simulator import App, Cvm

DEV_IMAGE = "dstack-dev-0.5.7-9b6a5239"
PROD_IMAGE = "dstack-0.5.7"

FLEET = (
    App(
        name="web",
        cvms=(
            Cvm(name="web-1", node="prod5", base_image=DEV_IMAGE, instance_type="tdx.medium", listed=True),
            Cvm(name="web-2", node="prod7", base_image=DEV_IMAGE, instance_type="tdx.medium", listed=True),
            Cvm(name="web-3", node="prod9", region="US-EAST-1", base_image=DEV_IMAGE, instance_type="tdx.medium", listed=True),
        ),
    ),
    App(name="api", cvms=(Cvm(name="api", node="prod12", region="EU-WEST-1", base_image=PROD_IMAGE),)),
    App(
        name="batch", cvms=(Cvm(name="batch", node="prod5", base_image=PROD_IMAGE, instance_type="tdx.large", status="stopped"),)
    ),
    App(
        name="model",
        cvms=(Cvm(name="model", node="prod9", region="US-EAST-1", base_image=DEV_IMAGE, instance_type="h200.small"),),
    ),
)
