# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The account that README and guides show: five CVMs of three apps, and one app that shows none."""

from __future__ import annotations

from ansible_collections.phala.cloud.tests.simulator import App, Cvm

KEY = "phak_your-key"
OTHER_KEY = "phak_another-key"

DEV_IMAGE = "dstack-dev-0.5.7-9b6a5239"
PROD_IMAGE = "dstack-0.5.7"

WEB = App(
    name="web",
    cvms=(
        Cvm(name="web-1", node="prod5", base_image=DEV_IMAGE, instance_type="tdx.medium", listed=True),
        Cvm(name="web-2", node="prod7", base_image=DEV_IMAGE, instance_type="tdx.medium", listed=True),
        Cvm(
            name="web-3",
            node="prod9",
            region="US-EAST-1",
            base_image=DEV_IMAGE,
            instance_type="tdx.medium",
            status="stopped",
            listed=True,
        ),
    ),
)
API = App(name="api", cvms=(Cvm(name="api", node="prod7", base_image=PROD_IMAGE, instance_type="tdx.small"),))
MODEL = App(
    name="model",
    team_slug="research",
    team_name="Research",
    cvms=(
        Cvm(
            name="model",
            node="h200-3",
            region="US-EAST-1",
            base_image=DEV_IMAGE,
            instance_type="h200.small",
            kms_type="base",
        ),
    ),
    kms_type="base",
)
MINIMAL = App(app_id="5a0c7e1b94d2f3860b17c94ae2d53f6081b4e7c9", minimal=True)

FLEET = (WEB, API, MODEL, MINIMAL)

# Another account, for the pages that read more than one.
OTHER_FLEET = (
    App(
        name="shop",
        team_slug="shop-team",
        team_name="Shop",
        cvms=(Cvm(name="shop", node="prod12", region="EU-WEST-1", base_image=DEV_IMAGE),),
    ),
)
